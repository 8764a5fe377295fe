// What can be read of deployments: the list, steps, attempts, and waiting for the end.
import { durationMs } from "@bufbuild/protobuf/wkt";
import { deploymentFields, stepFields } from "../../proto/filter/fields.ts";
import {
  type Deployment,
  DeploymentSchema,
  DeploymentService,
  type Step,
  StepSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { isRunning } from "../domain/schedule.ts";
import type { State } from "../domain/state.ts";
import { listAttempts } from "./attempts.ts";
import { type ApiContext, notFound } from "./context.ts";
import { pageOf } from "./pages.ts";

const waitMs = 60_000;

type History = Pick<
  Handlers<typeof DeploymentService>,
  "waitDeployment" | "listDeployments" | "getDeployment" | "listSteps" | "listAttempts"
>;

export function historyHandlers({ engine, store, hub, progress }: ApiContext): History {
  const { method } = DeploymentService;
  const withProgress = (step: Step) => ({
    ...step,
    progress: progress.get(step.name, step.token) ?? step.progress,
  });
  return {
    waitDeployment: async ({ name, timeout }, { signal }) => {
      const { name: own } = findDeployment(engine.state, name);
      const ended = () => {
        const deployment = findDeployment(engine.state, own);
        return isRunning(deployment) ? undefined : deployment;
      };
      const done = await hub.until(ended, timeout ? durationMs(timeout) : waitMs, signal);
      // It has ended as soon as that is decided; this returns when it is stored.
      await engine.decide(() => undefined);
      return { deployment: withoutPlan(done ?? findDeployment(engine.state, own)), done: done !== undefined };
    },
    listDeployments: async (request) => {
      const newestFirst = [...engine.state.deployments.values()].sort((a, b) =>
        ageKey(a) < ageKey(b) ? 1 : -1,
      );
      const { items, nextPageToken } = await pageOf(request, {
        method: method.listDeployments,
        schema: DeploymentSchema,
        fields: deploymentFields,
        items: newestFirst,
        key: ageKey,
        descending: true,
      });
      return { deployments: items.map(withoutPlan), revision: store.revision, nextPageToken };
    },
    getDeployment: async ({ name }) => {
      const deployment = findDeployment(engine.state, name);
      return { deployment, steps: engine.state.steps(deployment.name).map(withProgress) };
    },
    listSteps: async (request) => {
      const deployment = findDeployment(engine.state, request.deployment);
      const steps = engine.state.steps(deployment.name);
      const places = new Map(steps.map(({ name }, place) => [name, `${place}`.padStart(9, "0")]));
      const { items, nextPageToken } = await pageOf(request, {
        method: method.listSteps,
        parent: deployment.name,
        schema: StepSchema,
        fields: stepFields,
        items: steps,
        key: ({ name }) => places.get(name) ?? "",
      });
      return { steps: items.map(withProgress), revision: store.revision, nextPageToken };
    },
    listAttempts: (request) => listAttempts(store, request),
  };
}

export function findDeployment(state: State, name: string): Deployment {
  const deployment = state.deployment(name);
  if (!deployment) throw notFound("deployment", name);
  return deployment;
}

export function withoutPlan(deployment: Deployment): Deployment {
  return { ...deployment, plan: undefined };
}

/** Sorts by start; two of the same moment by name. */
function ageKey({ startTime, name }: Deployment): string {
  const nanos = `${startTime?.nanos ?? 0}`.padStart(9, "0");
  return `${startTime?.seconds ?? 0n}`.padStart(12, "0") + nanos + name;
}
