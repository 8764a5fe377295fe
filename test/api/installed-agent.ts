// An agent in the test's own process, as on a node that is installed: real steps, real gRPC with mutual TLS. Its node
// is n1 of the small cluster.
import { createHash, createPublicKey } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { node } from "../../daemon/domain/plan-fixture.ts";
import { type Change, put } from "../../daemon/domain/state.ts";
import { provisioningTasks } from "../../daemon/domain/tasks.ts";
import { openCa } from "../../daemon/drivers/ca.ts";
import { Attempts } from "../../node-agent/attempts.ts";
import { connectSecurely } from "../../node-agent/connect.ts";
import { FileCache } from "../../node-agent/file-cache.ts";
import { remoteFiles } from "../../node-agent/files.ts";
import { certificateRequest, IdentityStore } from "../../node-agent/identity.ts";
import { remoteImages } from "../../node-agent/images.ts";
import { Journal } from "../../node-agent/journal.ts";
import { journalFiles } from "../../node-agent/journal-files.ts";
import { Outbox } from "../../node-agent/outbox.ts";
import { remoteSecrets } from "../../node-agent/secrets.ts";
import { keepSession } from "../../node-agent/session.ts";
import { catalogue } from "../../node-agent/steps/catalogue.ts";
import { systemTimers as timers } from "../../node-agent/timers.ts";
import { AgentService } from "../../proto/gen/muster/v1/agent_pb.ts";
import { TaskRecordSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { Environment, Node_State } from "../../proto/gen/muster/v1/node_pb.ts";
import type { TestDaemon } from "./daemon.ts";

const name = "n1";
const machine = node(name, 2);

export class InstalledAgent {
  readonly #directory: string;
  readonly #key: string;

  private constructor(directory: string, key: string) {
    this.#directory = directory;
    this.#key = key;
  }

  /** `directory`: for its own files. */
  static async create(directory: string): Promise<InstalledAgent> {
    await mkdir(directory, { recursive: true });
    return new InstalledAgent(directory, await new IdentityStore(directory).key());
  }

  /** What the daemon has to know before it starts. */
  changes(): Change[] {
    const spki = createPublicKey(this.#key).export({ format: "der", type: "spki" });
    const value = {
      ...machine,
      state: Node_State.READY,
      cluster: "demo",
      role: "controller",
      hostname: name,
      keyDigest: createHash("sha256").update(spki).digest("hex"),
    };
    const records = provisioningTasks.map((task) =>
      create(TaskRecordSchema, { name: `${name}/${task}`, node: name, task, deployment: "demo-0" }),
    );
    return [put({ case: "node", value }), ...records.map((value) => put({ case: "taskRecord", value }))];
  }

  /** Until it is disposed of. */
  async start({ muster, stateDir }: TestDaemon): Promise<AsyncDisposable> {
    const { agentAddress } = await muster.daemon.getDaemon({});
    const ca = await openCa(join(stateDir, "pki"), ["127.0.0.1"], () => new Date());
    const { certificate } = await ca.signNode(await certificateRequest(this.#key), name);
    const credentials = { node: name, privateKey: this.#key, certificate };
    const connect = () => connectSecurely(agentAddress, ca.caPem, credentials);
    const connection = connect();
    const daemon = connection.client(AgentService);
    const outbox = new Outbox(timers);
    const ended = new AbortController();
    const attempts = new Attempts({
      journal: new Journal(journalFiles(join(this.#directory, "journal"))),
      outbox,
      catalogue,
      images: remoteImages(daemon),
      secrets: remoteSecrets(daemon),
      files: remoteFiles(daemon, new FileCache(join(this.#directory, "files"))),
      identity: { ...credentials, joinBundle: "{}", imageKey: ca.imageKeyPem },
      bootId: "boot-1",
      reboot: () => Promise.reject(new Error("nothing is rebooted here")),
      print: () => {},
      timers,
    });
    const session = keepSession({
      connect,
      facts: async () => ({
        environment: Environment.INSTALLED,
        bootId: "boot-1",
        agentVersion: "test",
        fingerprint: machine.fingerprint ?? {},
        installed: undefined,
        address: "127.0.0.1",
      }),
      inventory: async () => machine.inventory ?? create(InventorySchema),
      outbox,
      attempts,
      print: () => {},
      signal: ended.signal,
      timers,
    });
    return {
      [Symbol.asyncDispose]: async () => {
        ended.abort();
        await session;
        await attempts.stop();
        connection[Symbol.dispose]();
      },
    };
  }
}
