// What keys do to the world: which question comes first, which call is made, what is said about it after.
import { Deployment_State, Purpose, Step_State } from "../proto/gen/muster/v1/deployment_pb.ts";
import { isLeftOut } from "../proto/plan/skipped-steps.ts";
import { RpcError } from "../proto/rpc/status.ts";
import { change } from "./change.ts";
import type { Operator } from "./client.ts";
import { clean, plural } from "./format.ts";
import { type Command, deploymentFor, type Place } from "./keymap.ts";
import { stepsOf, type World } from "./model.ts";
import { isJoin, type Tone } from "./words.ts";

export type Notice = { text: string; tone: Tone; until?: number };

export type Call =
  | { verb: "approve"; node: string }
  /** Starts a deployment that only asks what would change. */
  | { verb: "check"; cluster: string }
  | { verb: "retry"; deployment: string }
  | { verb: "resume"; deployment: string }
  /** No steps: all that could start now. */
  | { verb: "go"; deployment: string; steps: string[] }
  | { verb: "stop"; deployment: string };

export type Prompt =
  | { kind: "filter"; label: string; text: string }
  /** Needs no question. */
  | { kind: "now"; label: string; text: string; call: Call }
  | { kind: "confirm"; label: string; text: string; wanted: string; call: Call }
  /** Shows a plan and wants the cluster's name typed. */
  | { kind: "plan"; label: string; text: string; wanted: string; cluster: string; hash: string };

export function actionPrompt(command: Command, { target, world }: Place): Prompt | undefined {
  if (!target) return undefined;
  const deployment = deploymentFor(world, target)?.name ?? "";
  switch (command) {
    case "approve":
      return { kind: "now", label: "", text: "", call: { verb: "approve", node: target.name } };
    case "check":
      return { kind: "now", label: "", text: "", call: { verb: "check", cluster: target.name } };
    case "retry": {
      const verb = nothingFailed(world, deployment) ? "resume" : "retry";
      return { kind: "now", label: "", text: "", call: { verb, deployment } };
    }
    case "go": {
      const steps = target.kind === "step" ? [target.name.split("/").slice(1).join("/")] : [];
      return { kind: "now", label: "", text: "", call: { verb: "go", deployment, steps } };
    }
    case "stop": {
      const label = `stop ${deployment}? running steps finish, no other starts. y or Esc: `;
      return { kind: "confirm", label, text: "", wanted: "y", call: { verb: "stop", deployment } };
    }
    case "deploy": {
      const { name } = target;
      const label = `Type ${name} to wipe these disks and deploy, Esc to leave: `;
      return { kind: "plan", label, text: "", wanted: name, cluster: name, hash: "" };
    }
    default:
      return undefined;
  }
}

/** It was stopped, and only has to go on. */
function nothingFailed(world: World, name: string): boolean {
  const deployment = world.deployments.get(name);
  if (deployment?.state !== Deployment_State.STOPPED) return false;
  return stepsOf(world, deployment).every(({ state }) => state !== Step_State.FAILED);
}

/** Makes the call; never throws. `open` is a deployment to show now. */
export async function submit(prompt: Prompt, operator: Operator): Promise<{ notice: Notice; open?: string }> {
  try {
    if (prompt.kind === "plan") {
      const { cluster, hash: planHash } = prompt;
      const { deployment } = await change((requestId) =>
        operator.deployments.startDeployment({ cluster, planHash, requestId }),
      );
      return { notice: { text: `${deployment?.name} started`, tone: "ok" }, open: deployment?.name };
    }
    if (prompt.kind === "filter") return { notice: { text: "", tone: "ok" } };
    if (prompt.call.verb === "check") return await startCheck(prompt.call.cluster, operator);
    return { notice: { text: await call(prompt.call, operator), tone: "ok" } };
  } catch (error) {
    return { notice: failure(error) };
  }
}

async function startCheck(
  cluster: string,
  { deployments }: Operator,
): Promise<{ notice: Notice; open?: string }> {
  const wanted = { cluster, purpose: Purpose.CHECK };
  const { plan } = await deployments.planCluster(wanted);
  const work = plan?.steps.filter((step) => !isJoin(step)) ?? [];
  if (!plan || work.every(isLeftOut)) {
    const text = `nothing of ${cluster} has changed, or can be looked at; muster deploy ${cluster} --noop says more`;
    return { notice: { text, tone: "warn" } };
  }
  const { deployment } = await change((requestId) =>
    deployments.startDeployment({ ...wanted, planHash: plan.hash, requestId }),
  );
  return {
    notice: { text: `${deployment?.name} looks at what would change`, tone: "ok" },
    open: deployment?.name,
  };
}

async function call(
  wanted: Exclude<Call, { verb: "check" }>,
  { nodes, deployments }: Operator,
): Promise<string> {
  switch (wanted.verb) {
    case "approve":
      await change((requestId) => nodes.approveNode({ name: wanted.node, requestId }));
      return `${wanted.node} approved`;
    case "retry": {
      const { steps } = await change((requestId) =>
        deployments.retryDeployment({ name: wanted.deployment, requestId }),
      );
      return `${wanted.deployment} goes on: ${plural(steps, "step")} again`;
    }
    case "resume":
      await change((requestId) => deployments.resumeDeployment({ name: wanted.deployment, requestId }));
      return `${wanted.deployment} goes on; failed steps stay failed`;
    case "go": {
      const { deployment: name, steps: wantedSteps } = wanted;
      const { steps } = await change((requestId) =>
        deployments.continueSteps({ name, steps: wantedSteps, requestId }),
      );
      return steps.length ? `${steps.join(", ")} may start` : "no step that could start now is held";
    }
    case "stop":
      await change((requestId) => deployments.stopDeployment({ name: wanted.deployment, requestId }));
      return `${wanted.deployment} stops when its running steps have finished`;
  }
}

/** An error in the one line that there is room for; the CLI has the rest. */
export function failure(error: unknown): Notice {
  const rpc = RpcError.from(error);
  const details = rpc.violations.map(({ subject, description }) =>
    [subject, description.split("\n")[0]].filter(Boolean).join(": "),
  );
  return { text: clean([rpc.message, ...details].join("; ")), tone: "fail" };
}
