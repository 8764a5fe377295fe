// What secrets are needed for: the devices of schemes and plans that they open. Contents are no matter here.
import type { Deployment } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { StepAction } from "../../proto/gen/muster/v1/step_pb.ts";
import { withFoundations } from "./kept-devices.ts";
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

/** Whether an action needs a secret. */
export function needsSecret(action: StepAction | undefined, name: string): boolean {
  const value = action?.kind.value;
  const plan = value && "plan" in value ? value.plan : undefined;
  return plan?.luks.some(({ secret }) => secret === name) ?? false;
}

/** The running deployments with steps that need a secret. */
export function deploymentsNeeding(state: State, name: string): Deployment[] {
  return [...state.deployments.values()].filter(
    (deployment) =>
      isRunning(deployment) && deployment.plan?.steps.some(({ action }) => needsSecret(action, name)),
  );
}
