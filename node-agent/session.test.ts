import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StepResult_Outcome } from "../proto/gen/muster/v1/agent_pb.ts";
import { Environment } from "../proto/gen/muster/v1/node_pb.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { AgentWorld, eventually } from "./agent-world.ts";

let world: AgentWorld;
beforeEach(async () => {
  world = await AgentWorld.open();
});
afterEach(() => world[Symbol.asyncDispose]());

describe("a session", () => {
  it("says hello, then the inventory, then heartbeats at the daemon's pace", async () => {
    await world.startAgent();
    await eventually(() => expect(world.daemon.received.length).toBeGreaterThan(4));
    const cases = world.daemon.received.map((message) => message.case).slice(0, 4);
    expect(cases).toEqual(["hello", "inventory", "heartbeat", "heartbeat"]);
    expect(world.daemon.hellos[0]).toMatchObject({
      environment: Environment.BOOTSTRAP,
      running: [],
      finished: [],
    });
  });

  it("runs a step and sends its log before its result, until both are acknowledged", async () => {
    await world.startAgent();
    world.daemon.assign("t1", "echo hello; echo oops >&2; exit 7");
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    const command = "/bin/sh -e -c 'echo hello; echo oops >&2; exit 7'";
    const reason = `\`${command}\` failed with exit code 7: oops`;
    expect(world.daemon.results[0]).toMatchObject({
      outcome: StepResult_Outcome.FAILED,
      exitCode: 7,
      reason,
    });
    expect(world.daemon.logs.get("t1")?.split("\n").sort()).toEqual(
      ["", `$ ${command}`, "hello", "oops", reason].sort(),
    );
    world.daemon.cutSession();
    await eventually(() => expect(world.daemon.hellos).toHaveLength(2));
    expect(world.daemon.hellos[1]).toMatchObject({ running: [], finished: [] });
  });

  it("runs an operator's command beside steps, and ends it with the session", async () => {
    await world.startAgent();
    const { daemon } = world;
    const timeout = durationFromMs(60_000);
    const run = (id: string, script: string) =>
      daemon.say({
        case: "runCommand",
        value: { id, argv: ["/bin/sh", "-c", script], timeout, outputLimit: 1000n },
      });
    const said = (id: string) =>
      daemon.received.filter(
        ({ case: kind, value }) => (kind === "commandOutput" || kind === "commandExit") && value.id === id,
      );
    run("c1", "echo up; exit 3");
    await eventually(() => expect(said("c1")).toHaveLength(2));
    expect(said("c1")).toMatchObject([
      { case: "commandOutput", value: { content: Buffer.from("up\n") } },
      { case: "commandExit", value: { exitCode: 3 } },
    ]);
    const marker = join(world.dir, "ended");
    run("c2", `trap 'echo ended > ${marker}; exit' TERM; echo begun; while :; do sleep 0.1; done`);
    await eventually(() => expect(said("c2")).toHaveLength(1));
    daemon.cutSession();
    await eventually(() => expect(readFileSync(marker, "utf8")).toBe("ended\n"));
    await eventually(() => expect(daemon.hellos).toHaveLength(2));
    expect(said("c2")).toHaveLength(1);
  });

  it("answers a second assignment with the recorded outcome, without running it again", async () => {
    const marker = join(world.dir, "runs");
    const agent = await world.startAgent();
    world.daemon.assign("t1", `echo run >> ${marker}; wc -l < ${marker}`);
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    world.daemon.assign("t1", `echo run >> ${marker}; wc -l < ${marker}`);
    await eventually(() => expect(world.daemon.results).toHaveLength(2));
    await agent.stop();
    await world.startAgent();
    world.daemon.assign("t1", `echo run >> ${marker}; wc -l < ${marker}`);
    await eventually(() => expect(world.daemon.results).toHaveLength(3));
    expect(new Set(world.daemon.results.map(({ result }) => result)).size).toBe(1);
    expect(
      world.daemon.logs
        .get("t1")
        ?.split("\n")
        .filter((line) => /^\d+$/.test(line)),
    ).toEqual(["1"]);
  });

  it("keeps a running step through lost sessions, and its log has neither gap nor doubling", async () => {
    await world.startAgent();
    world.daemon.acknowledges = false;
    world.daemon.assign("t1", "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.02; done");
    await eventually(() => expect(world.daemon.logs.get("t1")).toContain("line 5\n"));
    world.daemon.cutSession();
    await eventually(() => expect(world.daemon.hellos).toHaveLength(2));
    expect(world.daemon.hellos[1]?.running).toEqual(["t1"]);
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    world.daemon.acknowledges = true;
    world.daemon.cutSession();
    await eventually(() => expect(world.daemon.hellos).toHaveLength(3));
    expect(world.daemon.hellos[2]?.finished).toMatchObject([
      { token: "t1", outcome: StepResult_Outcome.SUCCEEDED },
    ]);
    expect(world.daemon.gaps).toBe(0);
    const lines = world.daemon.logs.get("t1")?.trimEnd().split("\n").slice(1);
    expect(lines).toEqual(Array.from({ length: 60 }, (_, n) => `line ${n}`));
    world.daemon.cutSession();
    await eventually(() => expect(world.daemon.hellos).toHaveLength(4));
    expect(world.daemon.hellos[3]?.finished).toEqual([]);
  });

  it("holds up a program that floods its log, but neither results nor heartbeats, and loses no line", async () => {
    await world.startAgent();
    world.daemon.acknowledges = false;
    world.daemon.assign("t1", "yes | head -c 12000000");
    const stored = () => world.daemon.logs.get("t1")?.length ?? 0;
    await eventually(() => expect(stored()).toBeGreaterThanOrEqual(2 << 20));
    const heard = world.daemon.received.length;
    await delay(200);
    expect(world.daemon.received.slice(heard).map((message) => message.case)).toContain("heartbeat");
    expect(stored()).toBeLessThan(4 << 20);
    expect(world.daemon.results).toEqual([]);
    world.daemon.acknowledges = true;
    world.daemon.cutSession();
    const expected = { outcome: StepResult_Outcome.SUCCEEDED };
    await eventually(() => expect(world.daemon.results).toMatchObject([expected]));
    const [command = "", ...lines] = world.daemon.logs.get("t1")?.split("\n") ?? [];
    expect(command).toContain("yes");
    expect(lines.join("\n")).toBe("y\n".repeat(6_000_000));
  });

  it("goes on trying when it is refused, and says why once", async () => {
    world.daemon.refusal = new RpcError(codes.UNAUTHENTICATED, "the certificate of n1 was revoked");
    await world.startAgent();
    await eventually(() => expect(world.printed).toHaveLength(1));
    await delay(200);
    expect(world.printed).toEqual([
      expect.stringContaining("refuses this node's certificate: the certificate of n1"),
    ]);
    world.daemon.refusal = undefined;
    await eventually(() => expect(world.daemon.hellos).toHaveLength(1));
  });
});

describe("a lease", () => {
  it("lasts as long as heartbeats are answered", async () => {
    world.daemon.leaseMs = 400;
    await world.startAgent();
    await delay(1_000);
    expect(world.daemon.hellos).toHaveLength(1);
  });

  it("that runs out ends the session, and the step that runs is finished", async () => {
    world.daemon.leaseMs = 400;
    world.daemon.answersBeats = false;
    await world.startAgent();
    world.daemon.assign("t1", "sleep 1; echo done");
    await eventually(() => expect(world.daemon.hellos.length).toBeGreaterThan(1));
    expect(world.printed).toContain("the daemon was silent for 0.4 s; connecting again");
    expect(world.daemon.hellos[1]?.running).toEqual(["t1"]);
    world.daemon.answersBeats = true;
    await eventually(() => expect(world.daemon.results.at(-1)?.outcome).toBe(StepResult_Outcome.SUCCEEDED));
    expect(world.daemon.results.every(({ token }) => token === "t1")).toBe(true);
  });
});
