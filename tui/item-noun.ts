// What a step counts its progress in, where that is not bytes. Pure.
import type { Deployment } from "../proto/gen/muster/v1/deployment_pb.ts";
import type { StepAction } from "../proto/gen/muster/v1/step_pb.ts";

const nouns: Partial<Record<NonNullable<StepAction["kind"]["case"]>, string>> = {
  puppet: "resources",
  ansible: "tasks",
  sync: "files",
  copyFiles: "files",
  uploadFiles: "files",
};

// Looked up for every step that runs, many times a second; plans have hundreds of thousands of steps.
const known = new WeakMap<Deployment, Map<string, string>>();

/** `resources`, `files`, ...; empty if it is just so many things. */
export function itemNoun(deployment: Deployment | undefined, step: { node: string; task: string }): string {
  if (!deployment) return "";
  let byId = known.get(deployment);
  if (!byId) {
    const steps = deployment.plan?.steps ?? [];
    byId = new Map(
      steps.flatMap(({ id, action }) => {
        const noun = action?.kind.case && nouns[action.kind.case];
        return noun ? [[id, noun] as const] : [];
      }),
    );
    known.set(deployment, byId);
  }
  return byId.get(`${step.node}/${step.task}`) ?? "";
}
