import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { live, TaskWorld } from "./task-plan-fixture.ts";

const noop = "noop: {}";

it.each([
  [
    `{kind: Task, name: a, roles: ["*"], requires: [bsae], ${noop}}`,
    "1:48: requires[0]: there is no task or group `bsae`; did you mean `base`?",
  ],
  [
    `{kind: Task, name: a, roles: ["*"], requires: ["/^x/"], ${noop}}`,
    "1:48: requires[0]: no task or group matches `/^x/`",
  ],
  [
    `{kind: Task, name: a, roles: ["*"], requires: ["/(/"], ${noop}}`,
    "1:48: requires[0]: `/(/` is not a regular expression: Unterminated group",
  ],
  [
    `{kind: Task, name: a, roles: ["*"], requires: [a], ${noop}}`,
    "1:48: requires[0]: `a` is the task itself, which cannot wait for itself",
  ],
  [
    `{kind: Task, name: a, roles: ["*"], requires: [image], ${noop}}`,
    "1:48: requires[0]: `image` is part of provisioning",
  ],
  [
    `{kind: Task, name: a, roles: ["*"], refresh_on: [nothing], ${noop}}`,
    "1:50: refresh_on[0]: there is no task or group `nothing`",
  ],
  [
    `{kind: Task, name: a, roles: ["*"], required_for: ["*"], ${noop}}`,
    "required_for[0]: `*` stands for roles",
  ],
  [
    `{kind: Task, name: a, roles: ["*"], cross_depends: [{task: base, role: comput}], ${noop}}`,
    "cross_depends[0].role: there is no role `comput`; did you mean `compute`?",
  ],
  [
    `{kind: Task, name: a, roles: ["*"], cross_depends: [{task: a, role: self}], ${noop}}`,
    "cross_depends[0].task: `a` is the task itself",
  ],
  [
    `{kind: Task, name: a, roles: ["*"], cross_depended_by: [{task: basse, role: "*"}], ${noop}}`,
    "cross_depended_by[0].task: there is no task or group `basse`",
  ],
  [`{kind: Task, name: a, roles: ["/^z/"], ${noop}}`, "1:31: roles[0]: there is no role `/^z/`"],
  [
    `{kind: Task, name: a, roles: ["*"], run_once: true, delegate_to: master, ${noop}}`,
    "delegate_to: there is no role `master`",
  ],
  [
    `{kind: Task, name: a, roles: ["*"], graphs: [verify], ${noop}}`,
    "1:46: graphs[0]: there is no graph `verify`; it is one of default, deletion",
  ],
  [
    `{kind: Task, name: a, roles: ["*"], condition: "setings.x == 1", ${noop}}`,
    "1:48: condition: reads `setings`, which there is not; did you mean `settings`?",
  ],
  [
    `{kind: Task, name: a, roles: ["*"], group: base, ${noop}}`,
    "1:44: group: `base` is the name of a task; choose another",
  ],
  [
    `{kind: Task, name: early, roles: ["*"], ${noop}}`,
    "1:20: name: `early` is the name of a group; choose another",
  ],
  [
    `{kind: Graph, name: g, on_success: all}\n---\n{kind: Graph, name: all, sequence: [default]}`,
    "1:36: on_success: `all` provisions nodes",
  ],
  [`{kind: Graph, name: g, on_error: h}`, "1:34: on_error: there is no graph `h`"],
  [
    `{kind: Graph, name: g, sequence: [h]}\n---\n{kind: Graph, name: h, sequence: [g]}`,
    "sequence[0]: would never end: g -> h -> g",
  ],
  [`{kind: Graph, name: g, on_success: g}`, "on_success: would never end: g -> g"],
  [
    `{kind: Graph, name: g, sequence: [deletion]}\n---\n{kind: Task, name: a, roles: ["*"], graphs: [g], ${noop}}`,
    "graphs[0]: graph `g` is a sequence of others",
  ],
  [
    "{kind: Graph, name: g, sequence: [deletion], on_stop: deletion}",
    "1:55: on_stop: is for a graph with tasks",
  ],
  [
    "{kind: Role, name: r, image: debian, scheme: plain, conflicts: [computer]}",
    "1:65: conflicts[0]: there is no role `computer`; did you mean `compute`?",
  ],
  [
    "{kind: Role, name: r, image: debian, scheme: plain, conflicts: [r]}",
    "conflicts[0]: a role cannot be in conflict with itself",
  ],
  [
    "{kind: Role, name: r, image: debian, scheme: plain, min: 3, max: 2}",
    "1:58: min: is more than max, which is 2",
  ],
  ["{kind: Role, name: r, image: debian, scheme: plain, requirements: 'memory >='}", "1:67: requirements: "],
  [
    "{kind: Cluster, name: demo, wants: [{role: compute, count: 1}, {role: compte, count: 2}]}",
    "1:71: wants[1].role: there is no role `compte`",
  ],
])("%s", (content, fault) => {
  const world = new TaskWorld(["compute"]);
  world.tasks("base: {roles: ['*'], group: early}");
  expect(() => world.apply(content)).toThrow(fault);
});

it("finds all that is wrong at once", () => {
  const world = new TaskWorld(["compute"]);
  const bad = `{kind: Task, name: a, roles: [x], requires: [y, z], condition: "1 +", ${noop}}`;
  expect(() => world.apply(bad)).toThrow(/roles\[0\].*\n.*requires\[0\].*\n.*requires\[1\].*\n.*condition/);
});

it("takes the examples of its page", () => {
  const page = readFileSync(new URL("../../docs/tasks.md", import.meta.url), "utf8");
  const examples = [...page.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text = ""]) => text);
  expect(examples).toHaveLength(2);
  const world = new TaskWorld(["controller", "endpoint"]);
  world.tasks("packages: {roles: ['*']}", "api: {roles: [controller]}");
  world.apply("{kind: Graph, name: collect-logs}\n---\n{kind: Graph, name: backup}");
  world.cluster(["controller", "endpoint"], ", settings: {proxy: haproxy}");
  for (const example of examples) world.apply(example);
  expect(live(world.plan()).sort()).toEqual(["n1/api", "n1/packages", "n2/packages", "n2/proxy-reload"]);
});
