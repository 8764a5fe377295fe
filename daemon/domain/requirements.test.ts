// What is counted along with every change of a step is what a count of all of them would give.
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, it } from "vitest";
import { PlanSchema, Step_State, StepSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { StepBook } from "./step-book.ts";

const nodes = ["n1", "n2", "n3"];
const ids = [
  ...nodes.flatMap((node) => [`${node}/bootstrap`, `${node}/partition`, `${node}/a`]),
  "_/first",
  ...nodes.map((node) => `${node}/b`),
  "_/second",
  ...nodes.map((node) => `${node}/c`),
];
const states = [
  Step_State.PENDING,
  Step_State.RUNNING,
  Step_State.SUCCEEDED,
  Step_State.FAILED,
  Step_State.CANCELLED,
  Step_State.SKIPPED,
  Step_State.BLOCKED,
];

/** Every step may require what comes before it; provisioning only that of its own node. */
const plans = fc
  .record({
    edges: fc.array(fc.boolean(), { minLength: ids.length ** 2, maxLength: ids.length ** 2 }),
    need: fc.nat(2),
    tolerates: fc.boolean(),
  })
  .map(({ edges, need, tolerates }) => {
    const steps = ids.map((id, at) => {
      const [node = "", task = ""] = id.split("/");
      const before = ids.slice(0, at).filter((_, other) => edges[at * ids.length + other]);
      const own = task === "partition" ? [`${node}/bootstrap`] : [];
      const requires = task === "bootstrap" || task === "partition" ? own : before;
      const kind = { case: "join" as const, value: { need: id === "_/first" ? need : 0 } };
      return { id, node, task, requires, action: node === "_" ? { kind } : undefined };
    });
    return create(PlanSchema, {
      nodes: nodes.map((node) => ({ node, role: node === "n1" ? "first" : "other" })),
      steps,
      tolerances: tolerates ? [{ role: "other", mayFail: 1 }] : [],
    });
  });
const changes = fc.array(fc.tuple(fc.constantFrom(...ids), fc.constantFrom(...states)), { maxLength: 60 });

function step(id: string, state: Step_State) {
  const [node = "", task = ""] = id.split("/");
  return create(StepSchema, { name: `demo-1/${id}`, deployment: "demo-1", node, task, state });
}

it("is the same counted along as counted anew", () => {
  fc.assert(
    fc.property(plans, changes, (plan, sequence) => {
      const along = new StepBook();
      for (const id of ids) along.put(step(id, Step_State.PENDING));
      const counted = along.requirements(plan);
      for (const [id, state] of sequence) along.put(step(id, state));
      const anew = new StepBook();
      for (const other of along.all()) anew.put(other);
      const recounted = anew.requirements(plan);
      for (const id of ids) {
        expect([id, counted.verdict(id)]).toEqual([id, recounted.verdict(id)]);
        expect([...counted.leftBehind(id)]).toEqual([...recounted.leftBehind(id)]);
        expect(counted.isDead(id)).toBe(recounted.isDead(id));
      }
      const failed = (one: typeof counted) =>
        [...one.failedNodes]
          .map(([role, lost]) => [role, [...lost].sort()])
          .filter(([, lost]) => lost?.length);
      expect(failed(counted).sort()).toEqual(failed(recounted).sort());
    }),
    { numRuns: 300 },
  );
});
