// Finds things in a plan without reading all of it. A plan never changes, so its index is made once.
import type { Plan, PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";

export type PlanIndex = {
  /** By id, `NODE/TASK`, in the order of the plan. */
  steps: ReadonlyMap<string, PlannedStep>;
  /** Place in the plan, by id. */
  places: ReadonlyMap<string, number>;
  /** Ids of the steps that require a step, by its id. */
  dependents: ReadonlyMap<string, readonly string[]>;
};

const indexes = new WeakMap<Plan, PlanIndex>();
const empty: PlanIndex = { steps: new Map(), places: new Map(), dependents: new Map() };

export function planIndex(plan: Plan | undefined): PlanIndex {
  if (!plan) return empty;
  const known = indexes.get(plan);
  if (known) return known;
  const steps = new Map(plan.steps.map((step) => [step.id, step]));
  const dependents = new Map<string, string[]>();
  for (const { id, requires } of plan.steps) {
    for (const required of requires) {
      const list = dependents.get(required);
      if (list) list.push(id);
      else dependents.set(required, [id]);
    }
  }
  const places = new Map(plan.steps.map(({ id }, place) => [id, place]));
  const index = { steps, places, dependents };
  indexes.set(plan, index);
  return index;
}
