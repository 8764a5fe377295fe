// Parts, graphs and checks of config tasks from the command line, against a real daemon whose nodes are installed and
// not there.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { manifests, node } from "../daemon/domain/plan-fixture.ts";
import { put } from "../daemon/domain/state.ts";
import { TaskRecordSchema } from "../proto/gen/muster/v1/deployment_pb.ts";
import { done, muster } from "../tui/testing/muster.ts";
import { startTestDaemon, type TestDaemon } from "./api/daemon.ts";

const tasks = `
{kind: Task, name: motd, roles: ["*"], template: {path: /etc/motd, content: "{{ node.name }} {{ secrets.word }}"}, secrets: {word: greeting}}
---
{kind: Task, name: web, roles: [compute], requires: [motd], condition: "settings.color == 'red'", shell: {command: "true"}}
---
{kind: Task, name: proof, roles: ["*"], graphs: [verify], stage: post_deployment, strategy: {type: one_by_one}, shell: {command: "true", check: "true"}}
---
{kind: Task, name: begin, roles: ["*"], graphs: [verify], stage: pre_deployment, noop: {}}
---
{kind: Graph, name: verify}
`;

let daemon: TestDaemon;

beforeAll(async () => {
  const installed = ["n1", "n2"].flatMap((name) => {
    const record = { name: `${name}/reboot`, node: name, task: "reboot", digest: "x", deployment: "demo-1" };
    return [
      put({ case: "node", value: { ...node(name, 2), cluster: "demo" } }),
      put({ case: "taskRecord", value: create(TaskRecordSchema, record) }),
    ];
  });
  daemon = await startTestDaemon(installed);
  const file = join(daemon.stateDir, "demo.yaml");
  await writeFile(file, `${manifests}---${tasks}`);
  await say("secret set greeting", Buffer.from("top secret"));
  await say(`apply -f ${file}`);
});
afterAll(() => daemon[Symbol.asyncDispose]());

const run = (args: string, input?: Uint8Array) =>
  done(muster(daemon.stateDir, args, { now: Date.now, input: async () => input }));

async function say(args: string, input?: Uint8Array): Promise<string> {
  const { code, out, err } = await run(args, input);
  expect([code, err], `muster ${args}`).toEqual([0, ""]);
  return out;
}

test("a part of the plan touches no disk, and says what is left out and why", async () => {
  const out = await say("plan demo --tasks motd,web");
  expect(out).toContain("not asked for: ");
  expect(out).toMatch(/motd +n1 n2 +template \/etc\/motd/);
  expect(out).toContain("sees secrets: greeting as word");
  expect(out).toMatch(/settings\.color == 'red'.*: 1 step \(web\)/);
  expect(out).not.toContain("destroyed");
  expect(out).not.toContain("top secret");
});

test("a graph of its own has only its tasks, with the end of a stage as a barrier", async () => {
  const out = await say("plan demo --graph verify");
  expect(out.split("\n")[0]).toBe("Plan of graph verify for cluster demo: 2 nodes, 4 steps");
  expect(out).toMatch(/1\. +begin +n1 n2/);
  expect(out).toMatch(/2\. +-- \S*pre_deployment\S* +after all of: n1\/begin, n2\/begin/);
  expect(out).toMatch(/3\. +proof +n1 n2 +after -- .*at most 1 at once/);
});

test("a check asks nothing, and starts; its steps can be looked at", async () => {
  expect(await say("plan demo --noop")).toContain("which changes nothing");
  const out = await say("deploy demo --noop --tasks motd --no-wait");
  expect(out).toMatch(/^Checking demo, changing nothing: /);
  const [, name = ""] = /deployment\/(\S+) started/.exec(out) ?? [];
  expect(await say(`describe deployment ${name}`)).toContain("seeing what would change; it changes nothing");
  expect(await say(`get steps ${name}`)).toMatch(/n1 +motd +ready/);
  const step = await say(`describe step ${name}/n1/motd`);
  expect(step).toMatch(/Does: +template \/etc\/motd/);
  expect(step).toMatch(/Sees secrets: +greeting as word/);
  await say(`stop ${name} --force`);
});

test("what cannot be planned is refused with what would do", async () => {
  expect(await run("plan demo --tasks modt")).toMatchObject({
    code: 2,
    err: expect.stringMatching(/there is no task modt; did you mean.*motd/),
  });
  expect(await run("plan demo --nodes n9")).toMatchObject({
    code: 2,
    err: expect.stringContaining("n9"),
  });
  expect(await run("plan demo --graph verfy")).toMatchObject({
    code: 2,
    err: expect.stringMatching(/verfy.*verify/),
  });
  expect((await say("get graphs")).split("\n")).toHaveLength(2);
  expect(await say("describe graph verify")).toContain("name: verify");
});
