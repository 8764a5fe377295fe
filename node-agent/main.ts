// The agent's program: puts the parts together. Reads the join bundle, enrols if it must, keeps a session.
import { setTimeout as delay } from "node:timers/promises";
import { Command } from "commander";
import { AgentService, type JoinBundle } from "../proto/gen/muster/v1/agent_pb.ts";
import { Environment } from "../proto/gen/muster/v1/node_pb.ts";
import { Attempts } from "./attempts.ts";
import { type AgentConfig, type ConfigOptions, readConfig, readJoinBundle } from "./config.ts";
import { connectSecurely } from "./connect.ts";
import { printLine } from "./console.ts";
import { enroll } from "./enroll.ts";
import { fingerprintOf, localAddress, readBootId, readInstalledSystem } from "./facts.ts";
import { type Credentials, IdentityStore } from "./identity.ts";
import { remoteImages } from "./images.ts";
import { collectInventory } from "./inventory/collect.ts";
import { Journal } from "./journal.ts";
import { Outbox } from "./outbox.ts";
import { createRunner } from "./runner.ts";
import { type Description, keepSession } from "./session.ts";
import { catalogue } from "./steps/catalogue.ts";
import { rebootMachine } from "./steps/reboot.ts";

/** What the agent's own look at the machine runs does not belong to any step's log. */
const quietRun = createRunner(() => {});

async function runAgent(config: AgentConfig, signal: AbortSignal): Promise<void> {
  const environment = config.environment === Environment.BOOTSTRAP ? "bootstrap ramdisk" : "installed system";
  printLine(`agent ${config.version} in the ${environment}`);
  const { bundle, text } = await readJoinBundle(config.joinFile);
  const credential = await obtainCredentials(config, bundle, signal);
  const connect = () => connectSecurely(bundle.agentAddress, bundle.caCertificate, credential);
  using imageConnection = connect();
  const bootId = await readBootId();
  const outbox = new Outbox();
  const attempts = new Attempts({
    journal: new Journal(config.journalDir),
    outbox,
    catalogue,
    images: remoteImages(imageConnection.client(AgentService)),
    identity: { ...credential, joinBundle: text, imageKey: bundle.imageKey },
    bootId,
    reboot: () => rebootMachine(config.environment, createRunner(printLine)),
    print: printLine,
  });
  await keepSession({
    connect,
    describe: () => describe(config, bundle, bootId),
    outbox,
    attempts,
    print: printLine,
    signal,
  });
  await attempts.stop();
}

async function obtainCredentials(
  config: AgentConfig,
  bundle: JoinBundle,
  signal: AbortSignal,
): Promise<Credentials> {
  const identity = new IdentityStore(config.identityDir);
  const known = await identity.load(bundle.caCertificate);
  if (!("missing" in known)) return known;
  printLine(`${known.missing}: asking ${bundle.enrollAddress} for one`);
  const inventory = await readInventory(config);
  await enroll({
    connect: () => connectSecurely(bundle.enrollAddress, bundle.caCertificate),
    bundle,
    identity,
    fingerprint: fingerprintOf(inventory),
    inventory,
    print: printLine,
    signal,
  });
  const given = await identity.load(bundle.caCertificate);
  if ("missing" in given) throw new Error(`the daemon's certificate cannot be used: ${given.missing}`);
  return given;
}

async function describe(config: AgentConfig, bundle: JoinBundle, bootId: string): Promise<Description> {
  const inventory = await readInventory(config);
  const isInstalled = config.environment === Environment.INSTALLED;
  const facts = {
    environment: config.environment,
    bootId,
    agentVersion: config.version,
    fingerprint: fingerprintOf(inventory),
    installed: isInstalled ? await readInstalledSystem(quietRun, config.identityDir) : undefined,
    address: await localAddress(bundle.agentAddress),
  };
  return { facts, inventory };
}

function readInventory(config: AgentConfig) {
  return collectInventory(quietRun, { includeLoop: config.includeLoop, print: printLine });
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
      void delay(5_000, undefined, { ref: false }).then(() => process.exit(1));
    });
  }
  try {
    await runAgent(readConfig(options), stopped.signal);
  } catch (error) {
    if (!stopped.signal.aborted) {
      printLine(`the agent cannot go on: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    }
  }
}

await main();
