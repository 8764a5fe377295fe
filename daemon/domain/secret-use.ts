// What secrets are needed for: the devices of schemes and plans that they open, and config tasks. Contents are no
// matter here.
import type { Deployment, PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { withFoundations } from "./kept-devices.ts";
import type { PlanFault } from "./planned.ts";
import { isRunning } from "./schedule.ts";
import type { State } from "./state.ts";

/** The longest line that cryptsetup reads from a console. */
const longestTyped = 512;

/** Whether the secret can be typed where a machine asks for it at boot. */
export function isTypable(content: Uint8Array): boolean {
  return content.length <= longestTyped && content.every((byte) => byte >= 0x20 && byte <= 0x7e);
}

/** Why the secrets that a scheme names do not do; empty if they do. */
export function secretFaults(state: State, scheme: SchemeSpec): string[] {
  // Each of several operating systems has its own.
  const roots = scheme.fss.filter(({ mount }) => mount === "/");
  const belowRoot = new Set(roots.flatMap(({ device }) => [...withFoundations(scheme, device)]));
  return scheme.luks.flatMap(({ name, secret }) => {
    const device = `scheme ${scheme.name}: luks ${name}`;
    const stored = state.secrets.get(secret)?.secret;
    if (!stored) {
      return [`${device} needs the secret ${secret}, which is not stored: \`muster secret set ${secret}\``];
    }
    if (stored.typable || !belowRoot.has(`luks/${name}`)) return [];
    return [
      `${device} holds /, so its secret ${secret} is asked for on the console at boot, where it cannot be typed: ` +
        `store one line of printable ASCII without a line end with \`muster secret set ${secret}\``,
    ];
  });
}

/** Why the secrets that the steps of config tasks name do not do; each is said once. */
export function taskSecretFaults(state: State, steps: readonly PlannedStep[]): PlanFault[] {
  const users = new Map<string, Set<string>>();
  for (const { task, inputs } of steps) {
    for (const secret of inputs ? Object.values(inputs.secrets) : []) {
      if (state.secrets.has(secret)) continue;
      const tasks = users.get(secret) ?? new Set();
      users.set(secret, tasks.add(task));
    }
  }
  return [...users].map(([secret, tasks]) => {
    const who = tasks.size === 1 ? `task ${[...tasks][0]} needs` : `tasks ${[...tasks].join(", ")} need`;
    return {
      node: "",
      message: `${who} the secret ${secret}, which is not stored: \`muster secret set ${secret}\``,
    };
  });
}

/** Whether a step needs a secret. */
export function needsSecret(step: PlannedStep | undefined, name: string): boolean {
  if (step?.inputs && Object.values(step.inputs.secrets).includes(name)) return true;
  const value = step?.action?.kind.value;
  const plan = value && "plan" in value ? value.plan : undefined;
  return plan?.luks.some(({ secret }) => secret === name) ?? false;
}

/** The running deployments with steps that need a secret. */
export function deploymentsNeeding(state: State, name: string): Deployment[] {
  return [...state.deployments.values()].filter(
    (deployment) => isRunning(deployment) && deployment.plan?.steps.some((step) => needsSecret(step, name)),
  );
}
