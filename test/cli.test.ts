// The verbs against a real daemon, whose machines are not there: deployments start, wait, and say for what.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { manifests } from "../daemon/domain/plan-fixture.ts";
import { done, muster } from "../tui/testing/muster.ts";
import { startTestDaemon, type TestDaemon } from "./api/daemon.ts";

let daemon: TestDaemon;
beforeEach(async () => {
  daemon = await startTestDaemon();
  const file = join(daemon.stateDir, "demo.yaml");
  await writeFile(file, manifests);
  expect(await say(`apply -f ${file}`)).toContain("cluster/demo created");
});
afterEach(() => daemon[Symbol.asyncDispose]());

const run = (args: string) => done(muster(daemon.stateDir, args, { now: Date.now }));

/** What a command line that succeeds prints. */
async function say(args: string): Promise<string> {
  const { code, out, err } = await run(args);
  expect([code, err], `muster ${args}`).toEqual([0, ""]);
  return out;
}

/** Why a command line is refused. */
async function refusal(args: string): Promise<string> {
  const { code, err } = await run(args);
  expect(code, `muster ${args}`).toBe(2);
  return err;
}

test("a deployment is started with holds, stopped, resumed, and explained all the way", async () => {
  expect(await say("plan demo")).toContain("Plan for cluster demo: 2 nodes, 15 steps");
  const started = await say("deploy demo --yes --no-wait --hold partition");
  expect(started).toContain("n1: disk serial N1A, 6 GiB, now vda: loses nothing that was found on it");
  expect(started).toContain("deployment/demo-1 started");
  expect(await say("describe deployment demo")).toContain("held; muster go demo-1 n2/partition");
  expect(await say("explain demo/n1/image")).toMatch(
    /^step\/demo-1\/n1\/image is pending: waits for n1\/partition, in the end for n1\/bootstrap: running, .* waiting for n1/,
  );
  expect(await say("hold demo n1/seed")).toContain("n1/seed is held");
  expect(await say("go demo")).toContain("no step that could start now is held");
  expect(await say("go demo partition")).toBe("n1/partition may start\nn2/partition may start");
  expect(await refusal("hold demo n1/bootstrap")).toContain("n1/bootstrap");

  expect(await say("stop demo")).toContain("deployment/demo-1 stopped");
  expect(await say("explain demo")).toContain("what helps: muster resume demo-1");
  expect(await say("explain n1")).toContain("what helps: muster resume demo-1");
  expect(await say("resume demo")).toContain("goes on");
  expect(await refusal("resume demo")).toContain("not stopped");
  expect(await refusal("delete cluster demo --yes")).toContain("demo-1 is running");
  expect(await say("stop demo --force")).toContain("stopped");
  const waited = await run("wait demo --timeout 20s");
  expect([waited.code, waited.out]).toEqual([1, expect.stringContaining("2 cancelled, 13 blocked")]);
  const attempts = JSON.parse(await say("history demo --node n1 --task bootstrap --json")).items;
  expect(attempts).toMatchObject([
    { name: "demo-1/n1/bootstrap/2", state: "STATE_CANCELLED" },
    { name: "demo-1/n1/bootstrap/1", state: "STATE_CANCELLED" },
  ]);
  await say("delete cluster demo --yes");
  expect(await refusal("get deployment demo-1")).toContain("there is no deployment demo-1");
});

test("what is set on a node forbids plans, and is explained", async () => {
  expect(await say("protect n1 on")).toBe("node/n1: protected");
  expect(await refusal("plan demo")).toContain("muster protect n1 off");
  expect(await say("explain n1")).toContain("protected: nothing that destroys data is planned for it");
  expect(await say("maintenance n1 on new fan")).toBe("node/n1: maintenance (new fan), protected");
  expect(await say("explain n1")).toContain("in maintenance (new fan)");
  await say("maintenance n1 off");
  await say("protect n1 off");
  expect(await say("get nodes --filter n1")).not.toContain("fan");
  expect(await refusal("delete node n1 --yes")).toContain("demo");
  expect(await refusal("delete role compute --yes")).toContain("demo");
  expect(await refusal("release demo")).toContain("no node is deployed with cluster demo");
});

test("the doctor sees what is wrong, and refuses a check that it has not", async () => {
  const { code, out } = await run("doctor ports images");
  expect(code).toBe(1);
  expect(out).toMatch(/^ok +ports +operators: .*muster\.sock answers$/m);
  expect(out).toContain("image debian: its manifest or signature is missing");
  expect(await refusal("doctor prots")).toContain("did you mean `ports`");
});
