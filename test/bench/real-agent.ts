// An agent with all that the real program has, but for what it would say of its machine: several share one process.
import path from "node:path";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Attempts } from "../../node-agent/attempts.ts";
import { connectSecurely } from "../../node-agent/connect.ts";
import { FileCache } from "../../node-agent/file-cache.ts";
import { remoteFiles } from "../../node-agent/files.ts";
import { remoteImages } from "../../node-agent/images.ts";
import { Journal } from "../../node-agent/journal.ts";
import { journalFiles } from "../../node-agent/journal-files.ts";
import { Outbox } from "../../node-agent/outbox.ts";
import { remoteSecrets } from "../../node-agent/secrets.ts";
import { keepSession } from "../../node-agent/session.ts";
import { catalogue } from "../../node-agent/steps/catalogue.ts";
import { systemTimers as timers } from "../../node-agent/timers.ts";
import { AgentService } from "../../proto/gen/muster/v1/agent_pb.ts";
import { Environment } from "../../proto/gen/muster/v1/node_pb.ts";
import { addressOf, fingerprintOf, inventoryOf } from "./fixture.ts";
import type { Identity } from "./link.ts";

const bootId = "5c1a7a1e-0000-4000-8000-000000000001";
const print = () => {};

/** Keeps a session, from an installed system, until it is closed. */
export class RealAgent {
  readonly #stopped = new AbortController();
  readonly #ended: Promise<unknown>;

  /** `directory`: for its journal and files. */
  constructor(index: number, address: string, identity: Identity, directory: string) {
    const { caPem, ...client } = identity;
    const connect = () => connectSecurely(address, caPem, client);
    const connection = connect();
    const daemon = connection.client(AgentService);
    const outbox = new Outbox(timers);
    const own = path.join(directory, `${index}`);
    const attempts = new Attempts({
      journal: new Journal(journalFiles(path.join(own, "journal"))),
      outbox,
      catalogue,
      images: remoteImages(daemon),
      secrets: remoteSecrets(daemon),
      files: remoteFiles(daemon, new FileCache(path.join(own, "files"))),
      identity: { node: "", ...client, joinBundle: "", imageKey: "" },
      bootId,
      reboot: () => Promise.reject(new Error("no machine is rebooted here")),
      print,
      timers,
    });
    this.#ended = keepSession({
      connect,
      facts: async () => ({
        environment: Environment.INSTALLED,
        bootId,
        agentVersion: "bench",
        fingerprint: fingerprintOf(index),
        installed: { bootId },
        address: addressOf(index),
        clock: timestampNow(),
      }),
      inventory: async () => inventoryOf(index),
      outbox,
      attempts,
      print,
      signal: this.#stopped.signal,
      timers,
    }).finally(async () => {
      await attempts.stop();
      connection[Symbol.dispose]();
    });
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    await this.#ended;
  }
}
