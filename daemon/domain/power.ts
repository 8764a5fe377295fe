// What power drivers report.

import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { BootTarget, Fault_Kind, type Node, PowerState } from "../../proto/gen/muster/v1/node_pb.ts";
import { fail } from "./attempt.ts";
import type { Decision } from "./decision.ts";
import { activeSteps } from "./report.ts";
import { schedule } from "./schedule.ts";
import { isActive } from "./step-book.ts";

/** The driver has read whether a node is on; in the middle of a step, off is a fact that ends it. */
export function powerRead(decision: Decision, node: Node, power: PowerState): void {
  // Its session ends much later. A retry before that would trust it, and not switch the machine on.
  const isGone = power === PowerState.OFF && node.faults.some(({ kind }) => kind === Fault_Kind.LATE);
  const now = decision.node(node, { power, ...(isGone && { online: false }) });
  if (power !== PowerState.OFF || node.maintenance) return;
  if (isAwaited(decision, now)) decision.effect({ do: "powerOn", node: node.name });
  const reason = `lost: ${node.name} is switched off (read back from its power driver); retry switches it on`;
  for (const step of activeSteps(decision, node.name)) {
    if (step.state === Step_State.UNKNOWN) fail(decision, step, reason, "silent");
  }
  schedule(decision);
}

/** A step of it could start if its agent were there. */
function isAwaited({ state }: Decision, node: Node): boolean {
  const deployment = state.deployment(node.cluster);
  if (!deployment) return false;
  return state
    .stepBook(deployment.name)
    .liveOf(node.name)
    .some((step) => step.state === Step_State.READY && step.waitTime && !step.hold);
}

/**
 * The driver has done, or could not do, what an attempt asked of it. A slow one may answer an attempt that has been
 * given up, while what the next one asked of it is still to come.
 */
export function powerDone(decision: Decision, token: string, error: string): void {
  const step = decision.state.step(token.slice(0, token.lastIndexOf("/")));
  if (!step || !isActive(step) || step.token !== token) return;
  const node = decision.state.nodes.get(step.node);
  if (!error) {
    if (step.task === "bootstrap") decision.step(step, { result: "switched on to boot from the network" });
    if (node) {
      decision.node(decision.noFault(node, Fault_Kind.POWER), {
        power: PowerState.ON,
        lastSeenTime: decision.now,
      });
    }
    return;
  }
  if (node) {
    const faulty = decision.fault(node, Fault_Kind.POWER, error);
    if (step.task === "reboot") decision.node(faulty, { bootTarget: BootTarget.RAMDISK });
  }
  fail(decision, step, error);
  schedule(decision);
}
