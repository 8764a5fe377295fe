import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { AttemptSchema, Deployment_State, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { deployment, secondsAgo, step } from "../testing/fixtures.ts";
import { done, muster, start } from "../testing/muster.ts";
import { checkDeployment, checkSteps, taskPlan } from "../testing/tasks.ts";

const run = { ...deployment, plan: taskPlan };

async function tasks(...steps: ReturnType<typeof step>[]) {
  const fake = await start({ deployments: { listAttempts: async () => ({}) } });
  fake.world.steps.clear();
  fake.put({ case: "deployment", value: run });
  for (const value of steps) fake.put({ case: "step", value });
  return fake;
}

const changed = step("n1/database", Step_State.SUCCEEDED, {
  startTime: secondsAgo(30),
  endTime: secondsAgo(10),
  outcome: TaskOutcome.CHANGED,
  result: "the command succeeded",
  facts: { port: 3306, tags: ["a"] },
  changes: [{ what: "package mariadb-server", action: "install" }],
});
const failed = step("n1/database", Step_State.FAILED, {
  startTime: secondsAgo(30),
  endTime: secondsAgo(10),
  exitCode: 100,
  reason: "exit code 100",
});

describe("a step", () => {
  it("is described with what it does, has changed and found out, and the end of its log", async () => {
    const fake = await tasks(changed);
    const { code, out } = await done(muster(fake.stateDir, "describe step demo/n1/database"));
    expect(code).toBe(0);
    expect(out).toMatchInlineSnapshot(`
      "Step:          demo-1/n1/database
      Node:          n1
      State:         changed
      Result:        the command succeeded
      Attempt:       1
      Started:       2026-11-21 11:59:30
      Took:          20s
      Does:          shell apt-get update … (2 lines)
      Sees secrets:  db-password, api-token as token

      command:
        apt-get update
        apt-get install -y mariadb-server

      Changed
        install package mariadb-server

      Facts
        port: 3306
        tags:
          - a

      End of its log
        log of demo-1/n1/database
        second line red"
    `);
  });

  it("that has failed says how to try it again", async () => {
    const fake = await tasks(failed);
    const { out } = await done(muster(fake.stateDir, "describe step demo-1/n1/database"));
    expect(out).toMatch(/Exit code: +100/);
    expect(out).toContain("try it again: muster retry demo-1");
    expect(out).toContain("muster deploy demo --tasks database --nodes n1");
  });

  it("is refused by a name that no step has", async () => {
    const fake = await tasks(changed);
    const { code, err } = await done(muster(fake.stateDir, "describe step demo/n1"));
    expect([code, err]).toEqual([2, expect.stringContaining("a step is DEPLOYMENT/NODE/TASK")]);
    const other = await done(muster(fake.stateDir, "describe step demo/n1/nothing"));
    expect([other.code, other.err]).toEqual([2, "muster: there is no step demo/n1/nothing"]);
  });

  it("is read from the end of a long log, without its cut line", async () => {
    const offsets: bigint[] = [];
    const log = Buffer.from(Array.from({ length: 9000 }, (_, i) => `line ${i}\n`).join(""));
    const attempt = create(AttemptSchema, { name: "demo-1/n1/database/1", logBytes: BigInt(log.length) });
    const fake = await start({
      deployments: { listAttempts: async () => ({ attempts: [attempt] }) },
      watch: {
        tailLog: async function* ({ offset }) {
          offsets.push(offset);
          yield { content: log.subarray(Number(offset)) };
        },
      },
    });
    fake.put({ case: "deployment", value: run });
    fake.put({ case: "step", value: changed });
    const { out } = await done(muster(fake.stateDir, "describe step demo/n1/database"));
    expect(offsets).toEqual([BigInt(log.length - 16 * 1024)]);
    const lines = out.split("\n").filter((line) => line.startsWith("  line "));
    expect([lines.length, lines[0], lines.at(-1)]).toEqual([20, "  line 8980", "  line 8999"]);
  });
});

describe("steps", () => {
  it("are listed with their outcomes; barriers are not among them", async () => {
    const fake = await tasks(...checkSteps);
    const { out } = await done(muster(fake.stateDir, "get steps demo"));
    expect(out).toMatchInlineSnapshot(`
      "NODE  TASK            STATE    TOOK  RESULT
      n1    database        skipped  3s    its manifest has no check
      n2    worker          changed  3s
      n3    worker          changed  3s
      n2    restart-worker  ok       3s
      n3    restart-worker  failed   3s    there is no systemd"
    `);
    const json = await done(muster(fake.stateDir, "get steps demo -o json"));
    expect(JSON.parse(json.out).items).toHaveLength(6);
  });

  it("of a check say what would change", async () => {
    const fake = await tasks(...checkSteps);
    fake.put({ case: "deployment", value: checkDeployment });
    const { out } = await done(muster(fake.stateDir, "get steps demo"));
    expect(out).toMatch(/n2 +worker +would change/);
    const described = await done(muster(fake.stateDir, "describe deployment demo"));
    expect(described.out).toContain("seeing what would change; it changes nothing");
    expect(described.out).not.toContain("database-done");
  });

  it("are of a deployment, which must be named", async () => {
    const fake = await start();
    const { code, err } = await done(muster(fake.stateDir, "get steps"));
    expect([code, err]).toEqual([2, expect.stringContaining("name a deployment")]);
  });
});

describe("a deployment that has failed", () => {
  it("says so even if no log can be read any more", async () => {
    const refuse = async () => {
      throw new RpcError(codes.UNAVAILABLE, "the daemon stops");
    };
    const fake = await start({ deployments: { listAttempts: refuse } });
    fake.put({ case: "deployment", value: { ...run, state: Deployment_State.FAILED } });
    fake.put({ case: "step", value: failed });
    const { code, out } = await done(muster(fake.stateDir, "wait demo"));
    expect(code).toBe(1);
    expect(out).toContain("its log cannot be read now: the daemon stops");
    expect(out).toContain("continue it: muster retry demo-1");
  });

  it("shows the command, the node, the end of the log, and how to go on", async () => {
    const fake = await tasks(failed);
    fake.put({
      case: "deployment",
      value: { ...run, state: Deployment_State.FAILED, endTime: secondsAgo(0) },
    });
    const { code, out } = await done(muster(fake.stateDir, "wait demo"));
    expect(code).toBe(1);
    expect(out.slice(out.indexOf("  n1/database:"))).toMatchInlineSnapshot(`
      "  n1/database: exit code 100
          command:
            apt-get update
            apt-get install -y mariadb-server
          last 2 lines of its log on n1:
            | log of demo-1/n1/database
            | second line red
      see why: muster logs demo-1/n1/database
      continue it: muster retry demo-1"
    `);
  });
});
