import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AssignSchema, StepResult_Outcome, StepResultSchema } from "../proto/gen/muster/v1/agent_pb.ts";
import { DiskErasureSchema } from "../proto/gen/muster/v1/erase_pb.ts";
import { TaskOutcome } from "../proto/gen/muster/v1/step_pb.ts";
import { AgentWorld, eventually } from "./agent-world.ts";
import { Attempts } from "./attempts.ts";
import { Journal } from "./journal.ts";
import { journalFiles } from "./journal-files.ts";
import { noFiles } from "./no-files.ts";
import { Outbox } from "./outbox.ts";
import { catalogue } from "./steps/catalogue.ts";
import { systemTimers } from "./timers.ts";

let world: AgentWorld;
beforeEach(async () => {
  world = await AgentWorld.open();
});
afterEach(() => world[Symbol.asyncDispose]());

describe("an attempt", () => {
  it("is refused when a newer one was seen, also by the next agent", async () => {
    const agent = await world.startAgent();
    world.daemon.assign("t2", "true", 60_000, 20n);
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    const refusal = {
      outcome: StepResult_Outcome.FAILED,
      fence: 19n,
      reason: expect.stringContaining("an older attempt: its fence is 19, and this agent has seen 20"),
    };
    world.daemon.assign("t1", "true", 60_000, 19n);
    await eventually(() => expect(world.daemon.results[1]).toMatchObject(refusal));
    await agent.stop();
    await world.startAgent();
    expect(world.daemon.hellos[1]?.highestFence).toBe(20n);
    world.daemon.assign("t0", "true", 60_000, 18n);
    await eventually(() => expect(world.daemon.results[2]?.reason).toContain("its fence is 18"));
    expect([...world.daemon.logs.keys()]).toEqual(["t2"]);
  });

  it("is another one when its token comes with a higher fence", async () => {
    await world.startAgent();
    for (const fence of [5n, 1_000_005n, 5n]) world.daemon.assign("t1", "sleep 0.1", 60_000, fence);
    await eventually(() => expect(world.daemon.results).toHaveLength(2));
    await eventually(() => expect(world.daemon.results.map(({ fence }) => fence)).toEqual([1_000_005n, 5n]));
    world.daemon.assign("t1", "true", 60_000, 1_000_006n);
    await eventually(() => expect(world.daemon.results[2]).toMatchObject({ fence: 1_000_006n, outcome: 1 }));
  });

  it("does not start when the journal cannot be written, and says what to do", async () => {
    await world.startAgent();
    rmSync(join(world.dir, "journal"), { recursive: true });
    writeFileSync(join(world.dir, "journal"), "a file where the folder was");
    world.daemon.assign("t1", `touch ${join(world.dir, "ran")}`, 60_000, 5n);
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    expect(world.daemon.results[0]).toMatchObject({
      token: "t1",
      fence: 5n,
      outcome: StepResult_Outcome.FAILED,
    });
    expect(world.daemon.results[0]?.reason).toMatch(
      /journal in .* cannot be written: .*ENOTDIR.*; make room/,
    );
    rmSync(join(world.dir, "journal"));
    mkdirSync(join(world.dir, "journal"));
    world.daemon.assign("t1", `touch ${join(world.dir, "ran")}`, 60_000, 5n);
    await eventually(() => expect(world.daemon.results).toHaveLength(2));
    expect(existsSync(join(world.dir, "ran"))).toBe(false);
    world.daemon.assign("t1", `touch ${join(world.dir, "ran")}`, 60_000, 6n);
    await eventually(() => expect(existsSync(join(world.dir, "ran"))).toBe(true));
  });

  it("is cancelled", async () => {
    await world.startAgent();
    world.daemon.assign("t1", "echo started; sleep 60");
    await eventually(() => expect(world.daemon.logs.get("t1")).toContain("\nstarted\n"));
    world.daemon.say({ case: "cancel", value: { token: "t1" } });
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    expect(world.daemon.results[0]).toMatchObject({
      outcome: StepResult_Outcome.CANCELLED,
      reason: "the step was cancelled",
    });
  });

  it("does not run when its cancellation came first", async () => {
    await world.startAgent();
    world.daemon.say({ case: "cancel", value: { token: "t1" } });
    world.daemon.assign("t1", "echo must not run");
    await eventually(() => expect(world.daemon.results).toHaveLength(2));
    for (const { outcome } of world.daemon.results) expect(outcome).toBe(StepResult_Outcome.CANCELLED);
    expect(world.daemon.logs.has("t1")).toBe(false);
  });

  it("is stopped at its limit", async () => {
    await world.startAgent();
    world.daemon.assign("t1", "sleep 60", 200);
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    expect(world.daemon.results[0]).toMatchObject({
      outcome: StepResult_Outcome.FAILED,
      reason:
        "the step took longer than its limit of 0.2 s and was stopped; it was running `/bin/sh -e -c 'sleep 60'`, which had printed nothing",
    });
    world.daemon.assign("t2", "echo one; echo two; sleep 60", 300);
    await eventually(() => expect(world.daemon.results).toHaveLength(2));
    expect(world.daemon.results[1]?.reason).toContain("whose last output was: two");
  });

  it("shows no secret that it was given, wherever it comes up", async () => {
    await world.startAgent();
    world.secrets = { "db-password": "hunter2!" };
    const command = [
      'echo "got $MUSTER_SECRET_DB"',
      'printf %s "$MUSTER_SECRET_DB" | base64',
      'echo "{\\"dsn\\": \\"x:$MUSTER_SECRET_DB@y\\"}" > $MUSTER_FACTS',
    ].join("; ");
    const say = (token: string, given: string) =>
      world.daemon.say({
        case: "assign",
        value: {
          ...{ token, step: "demo-1/n1/task", attempt: 1 },
          action: { kind: { case: "shell", value: { command: given } } },
          inputs: { secrets: { db: "db-password" } },
        },
      });
    say("t1", command);
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    expect(world.daemon.results[0]).toMatchObject({
      outcome: StepResult_Outcome.SUCCEEDED,
      taskOutcome: TaskOutcome.CHANGED,
      facts: { dsn: "x:[secret db-password]@y" },
    });
    await eventually(() =>
      expect(world.daemon.logs.get("t1")).toMatch(/\ngot \[secret db-password\]\n\[secret db-password\]\n$/),
    );
    say("t2", "echo {{ secrets.db }} >&2; exit 7");
    await eventually(() => expect(world.daemon.results).toHaveLength(2));
    expect(world.daemon.results[1]).toMatchObject({
      exitCode: 7,
      reason:
        "`/bin/sh -e -c 'echo [secret db-password] >&2; exit 7'` failed with exit code 7: [secret db-password]",
    });
    const heard = JSON.stringify(world.daemon.received, (_, value) =>
      typeof value === "bigint"
        ? `${value}`
        : value instanceof Uint8Array
          ? Buffer.from(value).toString()
          : value,
    );
    expect(heard + world.printed.join()).not.toContain("hunter2");
    expect(
      readFileSync(join(world.dir, "journal", readdirSync(join(world.dir, "journal"))[0] ?? ""), "utf8"),
    ).not.toContain("hunter2");
  });

  it("is tried before and after, but not in a check", async () => {
    await world.startAgent();
    const say = (token: string, inputs: { testPre?: string; testPost?: string }, check = false) =>
      world.daemon.say({
        case: "assign",
        value: {
          ...{ token, step: "demo-1/n1/task", attempt: 1, check, inputs },
          action: { kind: { case: "shell", value: { command: `touch ${join(world.dir, token)}` } } },
          values: { node: { name: "n1" } },
        },
      });
    say("t1", { testPre: "false" });
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    expect(world.daemon.results[0]?.reason).toMatch(
      /^test_pre failed before the task, which was not begun: /,
    );
    expect(existsSync(join(world.dir, "t1"))).toBe(false);
    say("t2", { testPre: "true", testPost: `test -e ${join(world.dir, "t2")} && test {{ node.name }} = n2` });
    await eventually(() => expect(world.daemon.results).toHaveLength(2));
    expect(world.daemon.results[1]?.reason).toMatch(/^test_post failed after the task was done: .* = n2/);
    expect(existsSync(join(world.dir, "t2"))).toBe(true);
    say("t3", { testPre: "false", testPost: "false" }, true);
    await eventually(() => expect(world.daemon.results).toHaveLength(3));
    expect(world.daemon.results[2]).toMatchObject({ outcome: StepResult_Outcome.SUCCEEDED });
    expect(world.daemon.results[2]?.changes).toHaveLength(1);
    expect(existsSync(join(world.dir, "t3"))).toBe(false);
  });

  it("of a provisioning step is never begun by a check", async () => {
    await world.startAgent();
    const action = { kind: { case: "wipe" as const, value: {} } };
    world.daemon.say({
      case: "assign",
      value: { token: "t1", step: "demo-1/n1/wipe", attempt: 1, action, check: true },
    });
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    expect(world.daemon.results[0]?.reason).toBe(
      "a wipe step cannot be checked without being done, and was not begun",
    );
  });

  it("fails when its facts are too many", async () => {
    await world.startAgent();
    world.daemon.assign("t1", "echo a=$(head -c 300000 /dev/zero | tr '\\0' x) > $MUSTER_FACTS");
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    expect(world.daemon.results[0]?.reason).toContain("293 KiB, and at most 256 KiB are kept");
  });

  it("is refused while another runs", async () => {
    await world.startAgent();
    world.daemon.assign("t1", "sleep 60");
    world.daemon.assign("t2", "true");
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    expect(world.daemon.results[0]).toMatchObject({
      token: "t2",
      outcome: StepResult_Outcome.FAILED,
      reason: expect.stringContaining("is still running demo-1/n1/t1"),
    });
  });

  it("fails when the agent is stopped, and the next agent says so", async () => {
    const agent = await world.startAgent();
    world.daemon.assign("t1", "echo started; sleep 60");
    await eventually(() => expect(world.daemon.logs.get("t1")).toContain("\nstarted\n"));
    await agent.stop();
    await world.startAgent();
    expect(world.daemon.hellos.at(-1)?.finished).toMatchObject([
      {
        token: "t1",
        outcome: StepResult_Outcome.FAILED,
        reason: expect.stringContaining("agent was stopped"),
      },
    ]);
  });

  it("of a step kind that is unknown fails and leaves the agent free", async () => {
    await world.startAgent();
    world.daemon.say({
      case: "assign",
      value: { token: "t1", step: "demo-1/n1/new", attempt: 1, action: {} },
    });
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    expect(world.daemon.results[0]?.reason).toContain("does not know the kind of the step");
    world.daemon.assign("t2", "true");
    await eventually(() => expect(world.daemon.results[1]?.outcome).toBe(StepResult_Outcome.SUCCEEDED));
  });

  it("of a reboot restarts the machine once, when the daemon has the result or after a while", async () => {
    await world.startAgent();
    const reboot = (token: string) => {
      const action = { kind: { case: "reboot" as const, value: {} } };
      world.daemon.say({ case: "assign", value: { token, step: "demo-1/n1/reboot", attempt: 1, action } });
    };
    reboot("t1");
    await eventually(() => expect(world.reboots).toBe(1));
    expect(world.daemon.results).toMatchObject([{ outcome: StepResult_Outcome.SUCCEEDED }]);
    reboot("t1");
    await eventually(() => expect(world.daemon.results).toHaveLength(2));
    world.daemon.acknowledges = false;
    reboot("t2");
    await eventually(() => expect(world.daemon.results).toHaveLength(3));
    await delay(100);
    expect(world.reboots).toBe(1);
    await eventually(() => expect(world.reboots).toBe(2));
  });

  it("of a task that restarts the machine does so, unless it need not", async () => {
    await world.startAgent();
    const restart = (token: string, value: { onlyIf?: string }, check = false) => {
      const action = { kind: { case: "restart" as const, value } };
      world.daemon.say({
        case: "assign",
        value: { token, step: "demo-1/n1/restart", attempt: 1, action, check },
      });
    };
    restart("t1", { onlyIf: "/no/such/file" });
    await eventually(() => expect(world.daemon.results).toHaveLength(1));
    restart("t2", {}, true);
    await eventually(() => expect(world.daemon.results).toHaveLength(2));
    expect(world.daemon.results.map(({ taskOutcome }) => taskOutcome)).toEqual([
      TaskOutcome.OK,
      TaskOutcome.CHANGED,
    ]);
    await delay(700);
    expect(world.reboots).toBe(0);
    restart("t3", { onlyIf: world.dir });
    await eventually(() => expect(world.reboots).toBe(1));
    expect(world.daemon.results[2]).toMatchObject({ outcome: StepResult_Outcome.SUCCEEDED });
  });

  it("of a reboot is made good by an agent that was killed before it came", async () => {
    const killed = new Journal(journalFiles(join(world.dir, "journal")));
    killed.start({ token: "t1", step: "demo-1/n1/reboot", fence: 7n, kind: "reboot", bootId: "boot-1" });
    killed.finish(
      create(StepResultSchema, { token: "t1", fence: 7n, outcome: StepResult_Outcome.SUCCEEDED }),
    );
    killed.acknowledge("t1");
    await world.startAgent();
    await eventually(() => expect(world.reboots).toBe(1));
  });

  it.each([
    ["restart", TaskOutcome.CHANGED, 1],
    ["restart", TaskOutcome.OK, 0],
    ["check", TaskOutcome.CHANGED, 0],
  ])(
    "of a %s with outcome %i that an agent was killed after has it restart %i times",
    async (kind, taskOutcome, reboots) => {
      const killed = new Journal(journalFiles(join(world.dir, "journal")));
      const attempt = { token: "t1", fence: 7n };
      killed.start({ ...attempt, step: "demo-1/n1/kernel", kind, bootId: "boot-1" });
      const outcome = StepResult_Outcome.SUCCEEDED;
      killed.finish(create(StepResultSchema, { ...attempt, outcome, taskOutcome }));
      await world.startAgent();
      await delay(700);
      expect(world.reboots).toBe(reboots);
    },
  );
});

describe("what a step has erased", () => {
  it("is in its outcome although it failed, and in the journal", async () => {
    const outbox = new Outbox(systemTimers);
    const journal = join(world.dir, "erased");
    const erasure = { serial: "S1", method: "discard", duration: { seconds: 3n, nanos: 500_000_000 } };
    const attempts = new Attempts({
      journal: new Journal(journalFiles(journal)),
      outbox,
      catalogue: {
        ...catalogue,
        wipe: async (_action, { erased }) => {
          erased(create(DiskErasureSchema, erasure));
          throw new Error("the second disk is gone");
        },
      },
      images: { locate: () => Promise.reject(new Error("no images here")), report: async () => {} },
      secrets: () => () => Promise.reject(new Error("no secrets here")),
      files: () => noFiles,
      identity: { node: "n1", joinBundle: "", imageKey: "", privateKey: "", certificate: "" },
      bootId: "boot-1",
      reboot: async () => {},
      print: () => {},
      timers: systemTimers,
    });
    const action = { kind: { case: "wipe", value: {} } } as const;
    attempts.assign(create(AssignSchema, { token: "t1", step: "demo-1/n1/wipe", fence: 1n, action }));
    await eventually(() => expect(attempts.finished).toHaveLength(1));
    const expected = { outcome: StepResult_Outcome.FAILED, reason: "the second disk is gone" };
    for (const [result] of [attempts.finished, new Journal(journalFiles(journal)).unacknowledged()]) {
      expect(result).toMatchObject({ ...expected, erasures: [erasure] });
    }
  });
});
