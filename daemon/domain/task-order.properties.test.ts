import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DocumentSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import type { Plan } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { ManifestSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { type TaskSpec, TaskSpecSchema } from "../../proto/gen/muster/v1/task_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";
import { put } from "./state.ts";
import { TaskWorld } from "./task-plan-fixture.ts";

const roles = ["a", "a", "a", "b", "b", "c"];
const nodes = roles.map((role, i) => ({ node: `n${i + 1}`, role }));
const stages = ["pre_deployment", "", "deploy", "post_deployment"];
const role = fc.constantFrom("a", "b", "c", "*", "/a|b/");

/** Tasks t0, t1, ...; `forward`: each waits for earlier ones only, and the stages do not turn that round. */
function anyTasks(forward: boolean) {
  const count = fc.integer({ min: 1, max: 8 });
  return count.chain((length) =>
    fc.tuple(
      ...Array.from({ length }, (_, i) => {
        const earlier = forward ? i : length;
        const other =
          earlier > 0
            ? fc.array(
                fc.nat(earlier - 1).map((n) => `t${n}`),
                { maxLength: 2 },
              )
            : fc.constant([]);
        return fc
          .record({
            roles: fc.uniqueArray(role, { minLength: 1, maxLength: 2 }),
            requires: other.map((all) => all.filter((name) => name !== `t${i}`)),
            crossDepends: other.chain((all) =>
              fc.tuple(
                ...all.map((task) =>
                  fc.record({ task: fc.constant(task), role, policy: fc.constantFrom("", "all") }),
                ),
              ),
            ),
            stage: forward
              ? fc.constant(stages[Math.floor((i * 4) / length)] ?? "")
              : fc.constantFrom(...stages),
            strategy: fc.option(
              fc.record({
                type: fc.constantFrom("batch", "parallel"),
                amount: fc.integer({ min: 1, max: 4 }),
              }),
              { nil: undefined },
            ),
            runOnce: fc.boolean(),
          })
          .map(
            (fields): TaskSpec =>
              create(TaskSpecSchema, { name: `t${i}`, ...fields, action: { case: "noop", value: {} } }),
          );
      }),
    ),
  );
}

function worldOf(tasks: TaskSpec[]): TaskWorld {
  const world = new TaskWorld(roles);
  for (const value of tasks) {
    const manifest = create(ManifestSchema, { kind: { case: "task", value } });
    const document = create(DocumentSchema, { name: `task/${value.name}`, manifest });
    world.state.apply(put({ case: "document", value: document }));
  }
  return world;
}

/** The same rules once more, pair by pair and without joins: who must be done before whom. */
function rules(tasks: TaskSpec[]): Map<string, Set<string>> {
  const is = (word: string, role: string) =>
    word === "*" || word === role || (word === "/a|b/" && role !== "c");
  const on = new Map(
    tasks.map((task) => {
      const all = nodes.filter(({ role }) => task.roles.some((word) => is(word, role)));
      return [task.name, task.runOnce ? all.slice(0, 1) : all];
    }),
  );
  const before = new Map<string, Set<string>>();
  for (const task of tasks) {
    const stage = (one: TaskSpec) =>
      Math.max(0, ["pre_deployment", "deploy", "post_deployment"].indexOf(one.stage || "deploy"));
    (on.get(task.name) ?? []).forEach(({ node }, index) => {
      const own = new Set<string>();
      for (const other of tasks) {
        const theirs = on.get(other.name) ?? [];
        if (stage(other) < stage(task)) for (const { node } of theirs) own.add(`${node}/${other.name}`);
        if (task.requires.includes(other.name) && theirs.some((place) => place.node === node))
          own.add(`${node}/${other.name}`);
        for (const dependency of task.crossDepends.filter((one) => one.task === other.name))
          for (const place of theirs)
            if (is(dependency.role, place.role)) own.add(`${place.node}/${other.name}`);
      }
      if (task.strategy?.type === "batch") {
        const batch = Math.floor(index / task.strategy.amount);
        for (const { node } of (on.get(task.name) ?? []).slice(0, batch * task.strategy.amount))
          own.add(`${node}/${task.name}`);
      }
      before.set(`${node}/${task.name}`, own);
    });
  }
  return before;
}

/** All that must be done before each step, as the scheduler sees it: what is left out is done from the beginning. */
function ancestors(plan: Plan): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  const left = new Set(plan.steps.filter(isLeftOut).map(({ id }) => id));
  for (const { id, requires } of plan.steps) {
    const own = new Set<string>();
    for (const required of requires) {
      expect(found.has(required)).toBe(true);
      if (left.has(required)) continue;
      own.add(required);
      for (const earlier of found.get(required) ?? []) own.add(earlier);
    }
    found.set(id, own);
  }
  return found;
}

describe("any tasks", () => {
  it("come in an order that respects all that they wait for, and joins lose nothing", () => {
    fc.assert(
      fc.property(anyTasks(true), (tasks) => {
        const world = worldOf(tasks);
        const planned = world.planned();
        // Nodes of one task that wait for each other have no order, whatever comes before.
        if ("faults" in planned) return expect(hasCycle(rules(tasks))).toBe(true);
        const found = ancestors(planned.plan);
        for (const [id, before] of rules(tasks)) {
          for (const other of before) if (other !== id) expect([...(found.get(id) ?? [])]).toContain(other);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("are planned or come back to themselves, and then the cycle is said", () => {
    fc.assert(
      fc.property(anyTasks(false), (tasks) => {
        const faults = worldOf(tasks).faults();
        expect(faults.length > 0).toBe(hasCycle(rules(tasks)));
        for (const fault of faults) {
          const [, path = ""] = /^steps wait for each other: (.*)$/.exec(fault) ?? [];
          const ids = path.split(" -> ");
          expect(ids.length).toBeGreaterThan(1);
          expect(ids[0]).toBe(ids.at(-1));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("keep their order when only some of them are asked for, or some have been done", () => {
    const choice = fc.record({
      asked: fc.subarray([0, 1, 2, 3, 4, 5, 6, 7]),
      done: fc.infiniteStream(fc.boolean()),
    });
    fc.assert(
      fc.property(anyTasks(true), choice, (tasks, { asked, done }) => {
        const world = worldOf(tasks);
        const whole = world.planned();
        if ("faults" in whole) return;
        const before = ancestors(whole.plan);
        const kept = {
          ...whole.plan,
          steps: whole.plan.steps.filter(({ task }) => !/^t/.test(task) || done.next().value),
        };
        world.done(kept);
        const chosen = asked.filter((n) => n < tasks.length).map((n) => `t${n}`);
        const runs = (name: string) =>
          whole.plan.steps.some(({ task, node }) => task === name && node !== "_");
        const part = world.plan({ tasks: chosen.filter(runs) });
        const now = ancestors(part);
        const live = part.steps.filter((step) => !isLeftOut(step) && step.node !== "_").map(({ id }) => id);
        for (const id of live) {
          const must = live.filter((other) => before.get(id)?.has(other));
          expect(must.filter((other) => !now.get(id)?.has(other))).toEqual([]);
        }
      }),
      { numRuns: 300 },
    );
  });
});

function hasCycle(before: Map<string, Set<string>>): boolean {
  const waiting = new Map(
    [...before].map(([id, own]) => [id, new Set([...own].filter((other) => other !== id))]),
  );
  for (let changed = true; changed; ) {
    changed = false;
    for (const [id, own] of waiting) {
      if ([...own].some((other) => waiting.has(other))) continue;
      waiting.delete(id);
      changed = true;
    }
  }
  return waiting.size > 0;
}
