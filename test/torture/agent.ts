// One machine's agent as a process: the real enrolment, identity, journal, session and attempts, with a fake
// inventory and fake steps. Its only argument is an AgentOrder as JSON.
import { create } from "@bufbuild/protobuf";
import { Attempts } from "../../node-agent/attempts.ts";
import { Backoff } from "../../node-agent/backoff.ts";
import { readConfig, readJoinBundle } from "../../node-agent/config.ts";
import { connectSecurely } from "../../node-agent/connect.ts";
import { printLine } from "../../node-agent/console.ts";
import { enroll } from "../../node-agent/enroll.ts";
import { fingerprintOf } from "../../node-agent/facts.ts";
import { certificateRequest, IdentityStore } from "../../node-agent/identity.ts";
import { remoteImages } from "../../node-agent/images.ts";
import { Journal } from "../../node-agent/journal.ts";
import { journalFiles } from "../../node-agent/journal-files.ts";
import { noFiles } from "../../node-agent/no-files.ts";
import { Outbox } from "../../node-agent/outbox.ts";
import { keepSession } from "../../node-agent/session.ts";
import { systemTimers as timers } from "../../node-agent/timers.ts";
import { AgentService, type Assign } from "../../proto/gen/muster/v1/agent_pb.ts";
import { Firmware_Mode, type Inventory, InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { Environment } from "../../proto/gen/muster/v1/node_pb.ts";
import { Random } from "../sim/random.ts";
import { fakeCatalogue, installedSystem } from "./fake-steps.ts";
import { Ledger } from "./ledger.ts";

export type AgentOrder = {
  /** Put before the paths of the agent's own files: the ramdisk's root, or the disk's. */
  root: string;
  disk: string;
  ledger: string;
  bootId: string;
  mac: string;
  seed: number;
};

/** How the agent ends when it wants its machine to restart. */
export const rebootExitCode = 64;

/** Knows which assignment an action came with, and notes in the ledger what the daemon has confirmed. */
class WitnessedAttempts extends Attempts {
  readonly assigns = new WeakMap<object, Assign>();
  ledger: Ledger | undefined;

  override assign(assign: Assign): void {
    const action = assign.action?.kind.value;
    if (action) this.assigns.set(action, assign);
    super.assign(assign);
  }

  override acknowledge(token: string): void {
    this.ledger?.write("acknowledged", token);
    super.acknowledge(token);
  }
}

/** The daemon is away all the time, and everything is to happen in minutes. */
class QuickBackoff extends Backoff {
  override next(): number {
    return super.next() / 8;
  }
}

const order = JSON.parse(process.argv[2] ?? "{}") as AgentOrder;
await run(order);

async function run({ root, disk, ledger: ledgerFile, bootId, mac, seed }: AgentOrder): Promise<void> {
  const config = readConfig({ root });
  const signal = new AbortController().signal;
  const { bundle, text } = await readJoinBundle(config.joinFile);
  const inventory = fakeInventory(mac);
  const fingerprint = fingerprintOf(inventory);
  const identity = new IdentityStore(config.identityDir);
  let known = await identity.load(bundle.caCertificate);
  if ("missing" in known) {
    const csr = await certificateRequest(await identity.key());
    const connect = () => connectSecurely(bundle.enrollAddress, bundle.caCertificate);
    const { certificate } = await enroll({
      connect,
      bundle,
      csr,
      fingerprint,
      inventory,
      print: printLine,
      signal,
      timers,
      backoff: new QuickBackoff(),
    });
    await identity.saveCertificate(certificate);
    known = await identity.load(bundle.caCertificate);
  }
  if ("missing" in known) throw new Error(known.missing);
  const credentials = known;
  const connect = () => connectSecurely(bundle.agentAddress, bundle.caCertificate, credentials);
  const imageConnection = connect();
  const outbox = new Outbox(timers);
  const ledger = new Ledger(ledgerFile);
  const assignOf = (action: object) => {
    const assign = attempts.assigns.get(action);
    if (!assign) throw new Error("a step runs that was never assigned");
    return assign;
  };
  const attempts: WitnessedAttempts = new WitnessedAttempts({
    journal: new Journal(journalFiles(config.journalDir)),
    outbox,
    catalogue: fakeCatalogue({ ledger, random: new Random(seed), disk, assignOf }),
    images: remoteImages(imageConnection.client(AgentService)),
    secrets: () => () => Promise.reject(new Error("these steps need no secrets")),
    files: () => noFiles,
    identity: { ...credentials, joinBundle: text, imageKey: bundle.imageKey },
    bootId,
    reboot: async () => process.exit(rebootExitCode),
    print: printLine,
    timers,
  });
  attempts.ledger = ledger;
  const installed = config.environment === Environment.INSTALLED;
  await keepSession({
    connect,
    facts: async () => ({
      environment: config.environment,
      bootId,
      agentVersion: config.version,
      fingerprint,
      installed: installed ? await installedSystem(disk, bootId) : undefined,
      address: "127.0.0.1",
    }),
    inventory: async () => inventory,
    outbox,
    attempts,
    print: printLine,
    signal,
    timers,
    backoff: new QuickBackoff(),
  });
}

function fakeInventory(mac: string): Inventory {
  const id = mac.replaceAll(":", "");
  return create(InventorySchema, {
    system: { uuid: `4c4c4544-0000-4000-8000-${id}`, manufacturer: "torture", serial: id },
    cpu: { model: "none", sockets: 1, cores: 1, threads: 1, architecture: "x86_64" },
    memoryBytes: 1n << 32n,
    disks: [
      {
        name: "vda",
        serial: `disk-${id}`,
        tran: "virtio",
        sizeBytes: 20n << 30n,
        logicalSectorBytes: 512,
        physicalSectorBytes: 512,
      },
    ],
    nics: [{ name: "eth0", mac, permanentMac: mac, link: true }],
    firmware: { mode: Firmware_Mode.BIOS },
  });
}
