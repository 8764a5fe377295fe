// An agent with its real parts and a daemon that is a fake, connected by gRPC, for tests of the agent.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { credentials, Server } from "@grpc/grpc-js";
import { expect, vi } from "vitest";
import { InventorySchema } from "../proto/gen/muster/v1/inventory_pb.ts";
import { Environment } from "../proto/gen/muster/v1/node_pb.ts";
import { Connection } from "../proto/rpc/client.ts";
import { Attempts } from "./attempts.ts";
import { Backoff } from "./backoff.ts";
import { FakeDaemon } from "./fake-daemon.ts";
import { Journal } from "./journal.ts";
import { journalFiles } from "./journal-files.ts";
import { noFiles } from "./no-files.ts";
import { Outbox } from "./outbox.ts";
import { keepSession } from "./session.ts";
import type { Catalogue } from "./steps/perform.ts";
import { restart } from "./steps/restart.ts";
import { shell } from "./steps/shell.ts";
import { systemTimers as timers } from "./timers.ts";

export class AgentWorld implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), "session-"));
  readonly daemon = new FakeDaemon();
  readonly printed: string[] = [];
  reboots = 0;
  /** That the daemon would give, by name. */
  secrets: Record<string, string> = {};
  readonly #server = new Server();
  readonly #stops: (() => Promise<void>)[] = [];
  #address = "";

  static async open(): Promise<AgentWorld> {
    const world = new AgentWorld();
    world.#address = await world.daemon.listen(world.#server);
    return world;
  }

  /** An agent whose journal is in `dir`; connected when this returns, unless the daemon refuses it. */
  async startAgent(): Promise<{ stop(): Promise<void> }> {
    const outbox = new Outbox(timers);
    const print = (line: string) => this.printed.push(line);
    const attempts = new Attempts({
      journal: new Journal(journalFiles(join(this.dir, "journal"))),
      outbox,
      catalogue,
      images: { locate: refuse, report: refuse },
      secrets: () => async (name) => Buffer.from(this.secrets[name] ?? ""),
      files: () => noFiles,
      identity: { node: "n1", joinBundle: "", imageKey: "", privateKey: "", certificate: "" },
      bootId: "boot-1",
      reboot: async () => {
        this.reboots++;
      },
      print,
      timers,
      rebootDelayMs: 500,
    });
    const controller = new AbortController();
    const greeted = this.daemon.hellos.length;
    const ended = keepSession({
      connect: () => new Connection(this.#address, credentials.createInsecure()),
      facts: async () => ({ environment: Environment.BOOTSTRAP, bootId: "boot-1", agentVersion: "1" }),
      inventory: async () => create(InventorySchema, { memoryBytes: 1n }),
      outbox,
      attempts,
      print,
      signal: controller.signal,
      timers,
      backoff: new Backoff(Math.random, 100),
    });
    const stop = async () => {
      controller.abort();
      await ended;
      await attempts.stop();
    };
    this.#stops.push(stop);
    if (!this.daemon.refusal) await vi.waitFor(() => expect(this.daemon.hellos.length).toBe(greeted + 1));
    return { stop };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stop of this.#stops) await stop();
    this.#server.forceShutdown();
    rmSync(this.dir, { recursive: true });
  }
}

export const eventually = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 20 });

const refuse = () => Promise.reject(new Error("not in this test"));
const catalogue: Catalogue = {
  partition: refuse,
  image: refuse,
  seed: refuse,
  bootloader: refuse,
  uploadFile: refuse,
  puppet: refuse,
  wipe: refuse,
  uploadFiles: refuse,
  sync: refuse,
  copyFiles: refuse,
  template: refuse,
  mergeConfig: refuse,
  package: refuse,
  service: refuse,
  ansible: refuse,
  waitFor: refuse,
  fetch: refuse,
  noop: refuse,
  restart,
  shell,
  reboot: async () => "the reboot was started",
};
