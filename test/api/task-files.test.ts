// Files from beside a manifest to a node and back, through all that is between: the CLI, the daemon, and an agent
// with its real steps.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { manifests } from "../../daemon/domain/plan-fixture.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { done, muster } from "../../tui/testing/muster.ts";
import { startTestDaemon, type TestDaemon } from "./daemon.ts";
import { InstalledAgent } from "./installed-agent.ts";

const { CHANGED } = TaskOutcome;
let base: string;
let beside: string;
let node: string;
let daemon: TestDaemon;
let agent: AsyncDisposable;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), "muster-task-files-"));
  beside = join(base, "manifests");
  node = join(base, "node");
  await mkdir(join(beside, "web"), { recursive: true });
  await mkdir(node);
  await writeFile(join(beside, "web/index.html"), "<p>hello</p>\n");
  await writeFile(join(beside, "web/large"), Buffer.alloc(1_500_000, "x"));
  await writeFile(join(beside, "run.sh"), "#!/bin/sh\n");
  const [system = ""] = manifests.split(/---\n\{kind: Task/);
  const tasks = [
    `web, sync: {source: web, path: ${node}/web, delete: true}`,
    `copy, copy_files: {files: [{source: run.sh, path: ${node}/run, mode: "0755"}]}`,
    `bring, requires: [web], refresh_on: [web], fetch: {path: ${node}/web/index.html, as_fact: true}`,
    `tell, requires: [bring], refresh_on: [bring], template: {path: ${node}/told, content: "{{ tasks.bring.facts.content }}"}`,
  ].map((task) => `---\n{kind: Task, roles: [controller], name: ${task}}\n`);
  await writeFile(join(beside, "demo.yaml"), system.replace(/ {2}- \{node: n2.*\n/, "") + tasks.join(""));
  const installed = await InstalledAgent.create(join(base, "agent"));
  daemon = await startTestDaemon(installed.changes());
  agent = await installed.start(daemon);
});
afterEach(async () => {
  await agent[Symbol.asyncDispose]();
  await daemon[Symbol.asyncDispose]();
  await rm(base, { recursive: true, force: true });
});

async function say(args: string): Promise<string> {
  const { code, out, err } = await done(muster(daemon.stateDir, args, { now: Date.now }));
  expect([code, err], `muster ${args}: ${out}`).toEqual([0, ""]);
  return out;
}

const tasks = "--tasks web,copy,bring,tell";
const outcomes = async () => {
  const { steps } = await daemon.muster.deployments.listSteps({ deployment: "demo", filter: "node = n1" });
  return Object.fromEntries(
    steps.filter(({ outcome }) => outcome).map(({ task, outcome }) => [task, outcome]),
  );
};

it("what a check says is done, and then only what has changed beside the manifest", async () => {
  await say(`apply -f ${beside}`);
  const check = await say(`deploy demo --noop --tasks web,copy,bring --yes`);
  expect(check).toContain(`create file ${node}/web/index.html`);
  expect(await readdir(node)).toEqual([]);

  await say(`deploy demo ${tasks} --yes`);
  expect(await outcomes()).toEqual({ web: CHANGED, copy: CHANGED, bring: CHANGED, tell: CHANGED });
  expect(await readFile(join(node, "web/large"))).toHaveLength(1_500_000);
  expect((await stat(join(node, "run"))).mode & 0o777).toBe(0o755);
  expect(await readFile(join(node, "told"), "utf8")).toBe("<p>hello</p>\n");
  expect(await say(`files get n1 ${node}/web/index.html`)).toBe("<p>hello</p>");

  await writeFile(join(beside, "web/index.html"), "<p>goodbye</p>\n");
  await rm(join(beside, "web/large"));
  await say(`apply -f ${beside}`);
  await say(`deploy demo ${tasks} --yes`);
  expect(await readdir(join(node, "web"))).toEqual(["index.html"]);
  expect(await outcomes()).toEqual({ web: CHANGED, bring: CHANGED, tell: CHANGED });
  expect(await readFile(join(node, "told"), "utf8")).toBe("<p>goodbye</p>\n");
  expect(await readFile(join(node, "web/index.html"), "utf8")).toBe("<p>goodbye</p>\n");
});
