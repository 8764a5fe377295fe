// The agent's program: puts the parts together. Reads the join bundle, enrols if it must, keeps a session.
import { setTimeout as delay } from "node:timers/promises";
import { isMainThread } from "node:worker_threads";
import { Command } from "commander";
import { AgentService, type JoinBundle } from "../proto/gen/muster/v1/agent_pb.ts";
import type { Inventory } from "../proto/gen/muster/v1/inventory_pb.ts";
import { Environment, type Fingerprint } from "../proto/gen/muster/v1/node_pb.ts";
import { Attempts } from "./attempts.ts";
import { type AgentConfig, type ConfigOptions, readConfig, readJoinBundle } from "./config.ts";
import { connectSecurely } from "./connect.ts";
import { printLine } from "./console.ts";
import { startLane } from "./delivery/lane-thread.ts";
import { enroll } from "./enroll.ts";
import { fingerprintOf, localAddress, readBootId, readInstalledSystem } from "./facts.ts";
import { FileCache } from "./file-cache.ts";
import { remoteFiles } from "./files.ts";
import { type Credentials, certificateRequest, IdentityStore } from "./identity.ts";
import { remoteImages } from "./images.ts";
import { collectInventory } from "./inventory/collect.ts";
import { Journal } from "./journal.ts";
import { journalFiles } from "./journal-files.ts";
import { Outbox } from "./outbox.ts";
import { graceMs } from "./process-group.ts";
import { createRunner } from "./runner.ts";
import { remoteSecrets } from "./secrets.ts";
import { type Facts, keepSession, type SessionOptions } from "./session.ts";
import { catalogue } from "./steps/catalogue.ts";
import { rebootMachine } from "./steps/reboot.ts";
import { systemTimers as timers } from "./timers.ts";

/** What the agent's own look at the machine runs does not belong to any step's log. */
const quietRun = createRunner(() => {});

/** `refused`: the daemon does not take the certificate any more, so the machine has to join anew. */
async function runAgent(config: AgentConfig, signal: AbortSignal): Promise<"over" | "refused"> {
  const environment = config.environment === Environment.BOOTSTRAP ? "bootstrap ramdisk" : "installed system";
  printLine(`agent ${config.version} in the ${environment}`);
  const { bundle, text } = await readJoinBundle(config.joinFile);
  const machine = new Machine(config);
  const credential = await obtainCredentials(config, bundle, machine, signal);
  const connect = () => connectSecurely(bundle.agentAddress, bundle.caCertificate, credential);
  using connection = connect();
  const daemon = connection.client(AgentService);
  const bootId = await readBootId();
  const outbox = new Outbox(timers);
  const attempts = new Attempts({
    journal: new Journal(journalFiles(config.journalDir)),
    outbox,
    catalogue,
    images: remoteImages(daemon),
    secrets: remoteSecrets(daemon),
    files: remoteFiles(daemon, new FileCache(config.filesDir)),
    identity: { ...credential, joinBundle: text, imageKey: bundle.imageKey },
    bootId,
    reboot: () => rebootMachine(config.environment, createRunner(printLine)),
    print: printLine,
    timers,
  });
  const session: SessionOptions = {
    connect,
    facts: () => factsOf(config, bundle, machine, bootId),
    inventory: () => machine.inventory(),
    outbox,
    attempts,
    print: printLine,
    signal,
    timers,
  };
  // An installed system that joined anew could take the place of the ramdisk that a deployment waits for.
  let end = await keepSession(session);
  while (end === "refused" && config.environment === Environment.INSTALLED) end = await keepSession(session);
  await attempts.stop();
  return end;
}

async function obtainCredentials(
  config: AgentConfig,
  bundle: JoinBundle,
  machine: Machine,
  signal: AbortSignal,
): Promise<Credentials> {
  const identity = new IdentityStore(config.identityDir);
  const known = await identity.load(bundle.caCertificate);
  if (!("missing" in known)) return known;
  printLine(`${known.missing}: asking ${bundle.enrollAddress} for one`);
  const inventory = await machine.inventory();
  const { node, certificate } = await enroll({
    connect: () => connectSecurely(bundle.enrollAddress, bundle.caCertificate),
    bundle,
    csr: await certificateRequest(await identity.key()),
    fingerprint: fingerprintOf(inventory),
    inventory,
    print: printLine,
    signal,
    timers,
  });
  await identity.saveCertificate(certificate);
  printLine(`this machine is node ${node}`);
  const given = await identity.load(bundle.caCertificate);
  if ("missing" in given) throw new Error(`the daemon's certificate cannot be used: ${given.missing}`);
  return given;
}

/** What this agent knows of its machine. */
class Machine {
  readonly #config: AgentConfig;
  #known: Inventory | undefined;

  constructor(config: AgentConfig) {
    this.#config = config;
  }

  async inventory(): Promise<Inventory> {
    const options = { includeLoop: this.#config.includeLoop, print: printLine };
    this.#known = await collectInventory(quietRun, options);
    return this.#known;
  }

  /** What makes it that machine does not change; the rest of the report is not needed for it. */
  async fingerprint(): Promise<Fingerprint> {
    return fingerprintOf(this.#known ?? (await this.inventory()));
  }
}

async function factsOf(
  config: AgentConfig,
  bundle: JoinBundle,
  machine: Machine,
  bootId: string,
): Promise<Facts> {
  const isInstalled = config.environment === Environment.INSTALLED;
  return {
    environment: config.environment,
    bootId,
    agentVersion: config.version,
    fingerprint: await machine.fingerprint(),
    installed: isInstalled ? await readInstalledSystem(quietRun, config.identityDir) : undefined,
    address: await localAddress(bundle.agentAddress),
  };
}

async function main(): Promise<void> {
  const options = new Command("muster-agent")
    .description(
      "The Muster agent: joins this machine to a cluster and does the steps that the daemon assigns.",
    )
    .version(readConfig().version)
    .option("--root <dir>", "put this folder before the paths of the agent's own files", "/")
    .option("--include-loop", "count loop devices as disks")
    .parse()
    .opts<ConfigOptions>();
  const stopped = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.once(name, () => {
      printLine(`${name}: the agent ends`);
      stopped.abort();
      // A step that does not let itself be stopped must not keep the agent.
      void delay(graceMs + 3_000, undefined, { ref: false }).then(() => process.exit(1));
    });
  }
  try {
    const config = readConfig(options);
    while ((await runAgent(config, stopped.signal)) === "refused") {
      await new IdentityStore(config.identityDir).forgetCertificate();
    }
  } catch (error) {
    if (!stopped.signal.aborted) {
      printLine(`the agent cannot go on: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    }
  }
}

// The bundled agent is the program of its threads, too.
if (isMainThread) await main();
else startLane();
