import { describe, expect, it } from "vitest";
import { Purpose } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { live, requires, stepOf, TaskWorld } from "./task-plan-fixture.ts";

const three = ["controller", "compute", "compute"];

describe("roles", () => {
  it("are names, lists, `*` and regular expressions", () => {
    const world = new TaskWorld(["controller", "compute", "storage"]);
    world.tasks(
      "one: {roles: [controller]}",
      "two: {roles: [controller, storage]}",
      "all: {roles: ['*']}",
      "some: {roles: ['/^co/']}",
    );
    const ids = live(world.plan());
    expect(ids.sort()).toEqual(
      ["n1/all", "n1/one", "n1/some", "n1/two", "n2/all", "n2/some", "n3/all", "n3/two"].sort(),
    );
  });

  it("choose one node of all for a task that runs once, or the first of another role", () => {
    const world = new TaskWorld(three);
    world.tasks(
      "once: {roles: [compute], run_once: true}",
      "lent: {roles: [compute], run_once: true, delegate_to: controller}",
    );
    expect(live(world.plan())).toEqual(["n1/lent", "n2/once"]);
  });
});

describe("what a task waits for on its node", () => {
  it("is named, matched, a group, or named from the other side", () => {
    const world = new TaskWorld(["compute"]);
    world.tasks(
      "a1: {roles: ['*'], group: base}",
      "a2: {roles: ['*'], group: base, required_for: [late]}",
      "by-group: {roles: ['*'], requires: [base]}",
      "by-pattern: {roles: ['*'], requires: ['/^a[0-9]$/']}",
      "late: {roles: ['*'], cross_depends: [{task: a1, role: self}]}",
    );
    const plan = world.plan();
    expect(requires(plan, "n1/by-group")).toEqual(["n1/a1", "n1/a2"]);
    expect(requires(plan, "n1/by-pattern")).toEqual(["n1/a1", "n1/a2"]);
    expect(requires(plan, "n1/late").sort()).toEqual(["n1/a1", "n1/a2"]);
  });

  it("may be a task that has been taken away, which is said", () => {
    const world = new TaskWorld(["compute"]);
    world.tasks("base: {roles: ['*']}", "after: {roles: ['*'], requires: [base]}");
    world.state.apply({ delete: "task/base" });
    expect(world.faults()).toEqual(["task after: there is no task or group `base`; there is only after"]);
  });
});

describe("what a task waits for on other nodes", () => {
  it("is one edge to one step, and a join from many to many", () => {
    const world = new TaskWorld(["controller", "controller", "compute", "compute"]);
    world.tasks(
      "start: {roles: [controller]}",
      "first: {roles: [controller], run_once: true}",
      "join: {roles: [compute], cross_depends: [{task: start, role: controller}, {task: first, role: '*'}]}",
      "end: {roles: [compute], run_once: true, cross_depends: [{task: start, role: controller}]}",
    );
    const plan = world.plan();
    expect(requires(plan, "n3/join")).toEqual(["_/start-on-controller", "n1/first"]);
    expect(requires(plan, "n4/join")).toEqual(["_/start-on-controller", "n1/first"]);
    expect(requires(plan, "n3/end")).toEqual(["n1/start", "n2/start"]);
    expect(stepOf(plan, "_/start-on-controller")).toMatchObject({
      requires: ["n1/start", "n2/start"],
      action: { kind: { case: "join", value: { need: 0 } } },
    });
  });

  it("can be any of them, and can be said from the other side", () => {
    const world = new TaskWorld(["controller", "controller", "compute", "compute"]);
    world.tasks(
      "start: {roles: [controller], cross_depended_by: [{task: watch, role: compute}]}",
      "join: {roles: [compute], cross_depends: [{task: start, role: controller, policy: any}]}",
      "watch: {roles: ['*']}",
    );
    const plan = world.plan();
    expect(requires(plan, "n3/join")).toEqual(["_/start-on-any-of-controller"]);
    expect(stepOf(plan, "_/start-on-any-of-controller").action?.kind.value).toMatchObject({ need: 1 });
    expect(requires(plan, "n3/watch")).toEqual(["_/start-on-all"]);
    expect(requires(plan, "n1/watch")).toEqual([]);
  });

  it("is nothing where nobody runs it", () => {
    const world = new TaskWorld(three);
    world.tasks(
      "a: {roles: [controller]}",
      "b: {roles: [compute], cross_depends: [{task: a, role: compute}]}",
    );
    expect(requires(world.plan(), "n2/b")).toEqual([]);
  });

  it("lets the other nodes of a role wait for its first one", () => {
    const world = new TaskWorld(["seed", "compute", "compute"]);
    world.tasks("boot: {roles: ['*'], cross_depends: [{task: boot, role: seed}]}");
    const plan = world.plan();
    expect([1, 2, 3].map((n) => requires(plan, `n${n}/boot`))).toEqual([[], ["n1/boot"], ["n1/boot"]]);
  });

  it("is printed if it comes back to itself", () => {
    const world = new TaskWorld(three);
    world.tasks(
      "a: {roles: ['*'], requires: [b]}",
      "b: {roles: [compute], cross_depends: [{task: a, role: '*'}]}",
    );
    expect(world.faults()).toEqual([
      expect.stringMatching(/^steps wait for each other: (.*n2\/a.*_\/a-on-all|.*_\/a-on-all.*n2\/a)/),
    ]);
  });
});

describe("stages", () => {
  it("come one after the other, over all nodes", () => {
    const world = new TaskWorld(three);
    world.tasks(
      "prepare: {roles: ['*'], stage: pre_deployment}",
      "check: {roles: ['*'], stage: pre_deployment, requires: [prepare]}",
      "work: {roles: [compute]}",
      "more: {roles: [compute], requires: [work]}",
      "wrap-up: {roles: [controller, compute], stage: post_deployment}",
    );
    const plan = world.plan();
    expect(requires(plan, "n2/work")).toEqual(["_/pre_deployment-done"]);
    expect(requires(plan, "n2/more")).toEqual(["n2/work"]);
    expect(requires(plan, "n1/wrap-up")).toEqual(["_/deploy-done"]);
    expect(stepOf(plan, "_/pre_deployment-done").requires).toEqual(["n1/check", "n2/check", "n3/check"]);
    expect(stepOf(plan, "_/deploy-done").requires).toEqual(["n2/more", "n3/more"]);
  });

  it("wait for the nearest one that there is", () => {
    const world = new TaskWorld(three);
    world.tasks("a: {roles: ['*'], stage: pre_deployment}", "b: {roles: ['*'], stage: post_deployment}");
    expect(requires(world.plan(), "n1/b")).toEqual(["_/pre_deployment-done"]);
  });
});

describe("a strategy", () => {
  it("limits how many nodes work at once", () => {
    const world = new TaskWorld(["a", "a", "a", "a", "a"]);
    world.tasks(
      "one: {roles: [a], strategy: {type: one_by_one}}",
      "two: {roles: [a], strategy: {amount: 2}}",
      "half: {roles: [a], strategy: {type: parallel, percent: 50}}",
      "least: {roles: [a], strategy: {percent: 1}}",
      "any: {roles: [a]}",
    );
    const plan = world.plan();
    const limits = ["one", "two", "half", "least", "any"].map((name) => stepOf(plan, `n1/${name}`).limit);
    expect(limits).toEqual([1, 2, 2, 1, 0]);
  });

  it("takes batches, each after the one before", () => {
    const world = new TaskWorld(["a", "a", "a", "a", "a"]);
    world.tasks("roll: {roles: [a], strategy: {type: batch, amount: 2}}");
    const plan = world.plan();
    expect([1, 2, 3, 4, 5].map((n) => requires(plan, `n${n}/roll`))).toEqual([
      [],
      [],
      ["_/roll-batch-1"],
      ["_/roll-batch-1"],
      ["n3/roll", "n4/roll"],
    ]);
    expect(stepOf(plan, "_/roll-batch-1").requires).toEqual(["n1/roll", "n2/roll"]);
    expect(stepOf(plan, "n1/roll").limit).toBe(0);
  });
});

describe("a condition", () => {
  it("is decided in the plan where that can be, by node", () => {
    const world = new TaskWorld(three);
    world.tasks(
      "a: {roles: ['*'], condition: \"node.role == 'compute'\"}",
      "b: {roles: ['*'], condition: 'parameters.on', parameters: {on: false}}",
      "c: {roles: ['*'], condition: \"changed('a')\"}",
    );
    const plan = world.plan();
    expect(live(plan).sort()).toEqual(["n1/c", "n2/a", "n2/c", "n3/a", "n3/c"]);
    expect(stepOf(plan, "n1/a")).toMatchObject({
      skippedBecause: "its condition is false: node.role == 'compute'",
      condition: "",
    });
    expect(stepOf(plan, "n1/a").action).toBeUndefined();
    expect(stepOf(plan, "n2/c").condition).toBe("changed('a')");
  });

  it("that cannot be evaluated is a fault of its node", () => {
    const world = new TaskWorld(["compute"]);
    world.tasks("a: {roles: ['*'], condition: 'settings.size > 3'}");
    expect(world.faults()).toEqual([
      "n1: task a: condition `settings.size > 3`: there is no `size`: ask with `has()` first if it may be missing",
    ]);
  });
});

it("carries on how a task is tried again, and whether its failure matters", () => {
  const world = new TaskWorld(["compute"]);
  world.tasks("a: {roles: ['*'], retries: 3, interval: 2s, backoff: 1.5, fail_on_error: false, timeout: 1m}");
  expect(stepOf(world.plan(), "n1/a")).toMatchObject({
    retries: 3,
    interval: { seconds: 2n },
    backoff: 1.5,
    ignoreFailure: true,
    timeout: { seconds: 60n },
  });
});

it("resolves how many nodes of a role may fail", () => {
  const roles = [...Array<string>(120).fill("many"), "few", "few", "few", "one"];
  const world = new TaskWorld(roles);
  const role = (name: string, tolerance: string) =>
    `{kind: Role, name: ${name}, image: debian, scheme: plain, fault_tolerance: "${tolerance}"}`;
  world.apply([role("many", "2%"), role("few", "-2"), role("one", "0")].join("\n---\n"));
  expect(world.plan().tolerances).toMatchObject([
    { role: "many", mayFail: 2 },
    { role: "few", mayFail: 1 },
    { role: "one", mayFail: 0 },
  ]);
  world.apply(role("few", "-5"));
  expect(world.plan().tolerances[1]).toMatchObject({ role: "few", mayFail: 0 });
});

it("names the secrets that are not stored, once for all that need them", () => {
  const world = new TaskWorld(three);
  world.tasks(
    "db: {roles: ['*'], secrets: {password: db-root, copy: db-copy}, shell: {command: 'true'}}",
    "web: {roles: ['*'], secrets: {password: db-root}}",
  );
  expect(world.faults()).toEqual([
    "tasks db, web need the secret db-root, which is not stored: `muster secret set db-root`",
    "task db needs the secret db-copy, which is not stored: `muster secret set db-copy`",
  ]);
});

it("has the same hash for the same state, and another for another condition, limit or stage", () => {
  const world = new TaskWorld(three);
  const hashes = new Set<string>();
  for (const fields of [
    "",
    ", condition: 'true'",
    ", strategy: {amount: 1}",
    ", hold: true",
    ", interval: 3s",
  ]) {
    world.tasks(`a: {roles: ['*']${fields}}`);
    hashes.add(world.plan().hash);
    expect(world.plan().hash).toBe([...hashes].at(-1));
  }
  // A condition that is always true is decided, and changes nothing.
  expect(hashes.size).toBe(4);
  expect(world.plan({ purpose: Purpose.DEPLOY, nodes: ["n1"] }).hash).not.toBe(world.plan().hash);
});
