// Finds things in a plan without reading all of it. A plan never changes, so its index is made once.
import type { Plan, PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";

export type PlanIndex = {
  /** By id, `NODE/TASK`, in the order of the plan. */
  steps: ReadonlyMap<string, PlannedStep>;
  /** Place in the plan, by id. */
  places: ReadonlyMap<string, number>;
  /** Ids of the steps that require a step, by its id. */
  dependents: ReadonlyMap<string, readonly string[]>;
  /** Ids of the steps that are done again when a step has changed something, by its id. */
  refreshes: ReadonlyMap<string, readonly string[]>;
};

const indexes = new WeakMap<Plan, PlanIndex>();
const empty: PlanIndex = { steps: new Map(), places: new Map(), dependents: new Map(), refreshes: new Map() };

export function planIndex(plan: Plan | undefined): PlanIndex {
  if (!plan) return empty;
  const known = indexes.get(plan);
  if (known) return known;
  const steps = new Map(plan.steps.map((step) => [step.id, step]));
  const places = new Map(plan.steps.map(({ id }, place) => [id, place]));
  const dependents = inverse(plan.steps, ({ requires }) => requires);
  const refreshes = inverse(plan.steps, ({ refreshOn }) => refreshOn);
  const index = { steps, places, dependents, refreshes };
  indexes.set(plan, index);
  return index;
}

/** The ids of the steps that name an id, by that id. */
function inverse(
  steps: PlannedStep[],
  named: (step: PlannedStep) => readonly string[],
): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const step of steps) {
    for (const id of named(step)) {
      const list = found.get(id);
      if (list) list.push(step.id);
      else found.set(id, [step.id]);
    }
  }
  return found;
}
