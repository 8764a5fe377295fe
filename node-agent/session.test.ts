import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { credentials, Server } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { StepResult_Outcome, StepResultSchema } from "../proto/gen/muster/v1/agent_pb.ts";
import { InventorySchema } from "../proto/gen/muster/v1/inventory_pb.ts";
import { Environment } from "../proto/gen/muster/v1/node_pb.ts";
import { Connection } from "../proto/rpc/client.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { Attempts } from "./attempts.ts";
import { Backoff } from "./backoff.ts";
import { FakeDaemon } from "./fake-daemon.ts";
import { Journal } from "./journal.ts";
import { Outbox } from "./outbox.ts";
import { keepSession } from "./session.ts";
import type { Catalogue } from "./steps/perform.ts";
import { shell } from "./steps/shell.ts";

let dir: string;
let daemon: FakeDaemon;
let address: string;
let printed: string[];
let reboots: number;
const cleanups: (() => unknown)[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "session-"));
  daemon = new FakeDaemon();
  printed = [];
  reboots = 0;
  const server = new Server();
  address = await daemon.listen(server);
  cleanups.push(
    () => server.forceShutdown(),
    () => rmSync(dir, { recursive: true }),
  );
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** An agent whose journal is in `dir`; connected when this returns. */
async function startAgent(): Promise<{ stop(): Promise<void> }> {
  const refuse = () => Promise.reject(new Error("not in this test"));
  const catalogue: Catalogue = {
    ...{
      partition: refuse,
      image: refuse,
      seed: refuse,
      bootloader: refuse,
      uploadFile: refuse,
      puppet: refuse,
    },
    shell,
    reboot: async () => "the reboot was started",
  };
  const outbox = new Outbox();
  const print = (line: string) => printed.push(line);
  const attempts = new Attempts({
    journal: new Journal(join(dir, "journal")),
    outbox,
    catalogue,
    images: { manifest: refuse, chunks: async function* () {} },
    identity: { node: "n1", joinBundle: "", imageKey: "", privateKey: "", certificate: "" },
    bootId: "boot-1",
    reboot: async () => {
      reboots++;
    },
    print,
    rebootDelayMs: 500,
  });
  const controller = new AbortController();
  const greeted = daemon.hellos.length;
  const ended = keepSession({
    connect: () => new Connection(address, credentials.createInsecure()),
    describe: async () => ({
      facts: { environment: Environment.BOOTSTRAP, bootId: "boot-1", agentVersion: "1" },
      inventory: create(InventorySchema, { memoryBytes: 1n }),
    }),
    outbox,
    attempts,
    print,
    signal: controller.signal,
    backoff: new Backoff(20, 100),
  });
  const stop = async () => {
    controller.abort();
    await ended;
    await attempts.stop();
  };
  cleanups.push(stop);
  if (!daemon.refusal) await vi.waitFor(() => expect(daemon.hellos.length).toBe(greeted + 1));
  return { stop };
}

const eventually = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 20 });

describe("a session", () => {
  it("says hello, then the inventory, then heartbeats at the daemon's pace", async () => {
    await startAgent();
    await eventually(() => expect(daemon.received.length).toBeGreaterThan(4));
    expect(daemon.received.map((message) => message.case).slice(0, 4)).toEqual([
      "hello",
      "inventory",
      "heartbeat",
      "heartbeat",
    ]);
    expect(daemon.hellos[0]).toMatchObject({ environment: Environment.BOOTSTRAP, running: [], finished: [] });
  });

  it("runs a step and sends its log before its result, until both are acknowledged", async () => {
    await startAgent();
    daemon.assign("t1", "echo hello; echo oops >&2; exit 7");
    await eventually(() => expect(daemon.results).toHaveLength(1));
    const command = "/bin/sh -e -c 'echo hello; echo oops >&2; exit 7'";
    const reason = `\`${command}\` failed with exit code 7: oops`;
    expect(daemon.results[0]).toMatchObject({ outcome: StepResult_Outcome.FAILED, exitCode: 7, reason });
    expect(daemon.logs.get("t1")?.split("\n").sort()).toEqual(
      ["", `$ ${command}`, "hello", "oops", reason].sort(),
    );
    daemon.cutSession();
    await eventually(() => expect(daemon.hellos).toHaveLength(2));
    expect(daemon.hellos[1]).toMatchObject({ running: [], finished: [] });
  });

  it("answers a second assignment with the recorded outcome, without running it again", async () => {
    const marker = join(dir, "runs");
    const agent = await startAgent();
    daemon.assign("t1", `echo run >> ${marker}; wc -l < ${marker}`);
    await eventually(() => expect(daemon.results).toHaveLength(1));
    daemon.assign("t1", `echo run >> ${marker}; wc -l < ${marker}`);
    await eventually(() => expect(daemon.results).toHaveLength(2));
    await agent.stop();
    await startAgent();
    daemon.assign("t1", `echo run >> ${marker}; wc -l < ${marker}`);
    await eventually(() => expect(daemon.results).toHaveLength(3));
    expect(new Set(daemon.results.map(({ result }) => result)).size).toBe(1);
    expect(
      daemon.logs
        .get("t1")
        ?.split("\n")
        .filter((line) => /^\d+$/.test(line)),
    ).toEqual(["1"]);
  });

  it("keeps a running step through lost sessions, and its log has neither gap nor doubling", async () => {
    await startAgent();
    daemon.acknowledges = false;
    daemon.assign("t1", "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.02; done");
    await eventually(() => expect(daemon.logs.get("t1")).toContain("line 5\n"));
    daemon.cutSession();
    await eventually(() => expect(daemon.hellos).toHaveLength(2));
    expect(daemon.hellos[1]?.running).toEqual(["t1"]);
    await eventually(() => expect(daemon.results).toHaveLength(1));
    daemon.acknowledges = true;
    daemon.cutSession();
    await eventually(() => expect(daemon.hellos).toHaveLength(3));
    expect(daemon.hellos[2]?.finished).toMatchObject([
      { token: "t1", outcome: StepResult_Outcome.SUCCEEDED },
    ]);
    expect(daemon.gaps).toBe(0);
    const lines = daemon.logs.get("t1")?.trimEnd().split("\n").slice(1);
    expect(lines).toEqual(Array.from({ length: 60 }, (_, n) => `line ${n}`));
    daemon.cutSession();
    await eventually(() => expect(daemon.hellos).toHaveLength(4));
    expect(daemon.hellos[3]?.finished).toEqual([]);
  });

  it("does not let a flood of log lines hold up results and heartbeats", async () => {
    await startAgent();
    daemon.acknowledges = false;
    daemon.assign("t1", "head -c 12000000 /dev/zero | tr '\\0' 'x' | fold -w 99");
    await eventually(() => expect(daemon.results).toMatchObject([{ outcome: StepResult_Outcome.SUCCEEDED }]));
    const heard = daemon.received.length;
    await delay(200);
    expect(daemon.received.slice(heard).map((message) => message.case)).toContain("heartbeat");
    expect(daemon.logs.get("t1")?.length).toBeLessThan(4 << 20);
  });

  it("goes on trying when it is refused, and says why once", async () => {
    daemon.refusal = new RpcError(codes.UNAUTHENTICATED, "the certificate of n1 was revoked");
    await startAgent();
    await eventually(() => expect(printed).toHaveLength(1));
    await delay(200);
    expect(printed).toEqual([
      expect.stringContaining("refuses this node's certificate: the certificate of n1"),
    ]);
    daemon.refusal = undefined;
    await eventually(() => expect(daemon.hellos).toHaveLength(1));
  });
});

describe("an attempt", () => {
  it("is cancelled", async () => {
    await startAgent();
    daemon.assign("t1", "echo started; sleep 60");
    await eventually(() => expect(daemon.logs.get("t1")).toContain("\nstarted\n"));
    daemon.say({ case: "cancel", value: { token: "t1" } });
    await eventually(() => expect(daemon.results).toHaveLength(1));
    expect(daemon.results[0]).toMatchObject({
      outcome: StepResult_Outcome.CANCELLED,
      reason: "the step was cancelled",
    });
  });

  it("does not run when its cancellation came first", async () => {
    await startAgent();
    daemon.say({ case: "cancel", value: { token: "t1" } });
    daemon.assign("t1", "echo must not run");
    await eventually(() => expect(daemon.results).toHaveLength(2));
    for (const { outcome } of daemon.results) expect(outcome).toBe(StepResult_Outcome.CANCELLED);
    expect(daemon.logs.has("t1")).toBe(false);
  });

  it("is stopped at its limit", async () => {
    await startAgent();
    daemon.assign("t1", "sleep 60", 200);
    await eventually(() => expect(daemon.results).toHaveLength(1));
    expect(daemon.results[0]).toMatchObject({
      outcome: StepResult_Outcome.FAILED,
      reason: "the step took longer than its limit of 0.2 s and was stopped",
    });
  });

  it("is refused while another runs", async () => {
    await startAgent();
    daemon.assign("t1", "sleep 60");
    daemon.assign("t2", "true");
    await eventually(() => expect(daemon.results).toHaveLength(1));
    expect(daemon.results[0]).toMatchObject({
      token: "t2",
      outcome: StepResult_Outcome.FAILED,
      reason: expect.stringContaining("is still running demo-1/n1/t1"),
    });
  });

  it("fails when the agent is stopped, and the next agent says so", async () => {
    const agent = await startAgent();
    daemon.assign("t1", "echo started; sleep 60");
    await eventually(() => expect(daemon.logs.get("t1")).toContain("\nstarted\n"));
    await agent.stop();
    await startAgent();
    expect(daemon.hellos.at(-1)?.finished).toMatchObject([
      {
        token: "t1",
        outcome: StepResult_Outcome.FAILED,
        reason: expect.stringContaining("agent was stopped"),
      },
    ]);
  });

  it("of a step kind that is unknown fails and leaves the agent free", async () => {
    await startAgent();
    daemon.say({ case: "assign", value: { token: "t1", step: "demo-1/n1/new", attempt: 1, action: {} } });
    await eventually(() => expect(daemon.results).toHaveLength(1));
    expect(daemon.results[0]?.reason).toContain("does not know the kind of the step");
    daemon.assign("t2", "true");
    await eventually(() => expect(daemon.results[1]?.outcome).toBe(StepResult_Outcome.SUCCEEDED));
  });

  it("of a reboot restarts the machine once, when the daemon has the result or after a while", async () => {
    await startAgent();
    const reboot = (token: string) => {
      const action = { kind: { case: "reboot" as const, value: {} } };
      daemon.say({ case: "assign", value: { token, step: "demo-1/n1/reboot", attempt: 1, action } });
    };
    reboot("t1");
    await eventually(() => expect(reboots).toBe(1));
    expect(daemon.results).toMatchObject([{ outcome: StepResult_Outcome.SUCCEEDED }]);
    reboot("t1");
    await eventually(() => expect(daemon.results).toHaveLength(2));
    daemon.acknowledges = false;
    reboot("t2");
    await eventually(() => expect(daemon.results).toHaveLength(3));
    await delay(100);
    expect(reboots).toBe(1);
    await eventually(() => expect(reboots).toBe(2));
  });

  it("of a reboot is made good by an agent that was killed before it came", async () => {
    const killed = new Journal(join(dir, "journal"));
    killed.start({ token: "t1", step: "demo-1/n1/reboot", kind: "reboot", bootId: "boot-1" });
    killed.finish(create(StepResultSchema, { token: "t1", outcome: StepResult_Outcome.SUCCEEDED }));
    killed.acknowledge("t1");
    await startAgent();
    await eventually(() => expect(reboots).toBe(1));
  });
});
