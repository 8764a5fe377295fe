// The life of a node as one table. Nothing else sets a node's state. What an operator has set (maintenance,
// protected, retired) and what is wrong with the machine (faults) stand beside the state, not in it.
import { Node_State as S } from "../../proto/gen/muster/v1/node_pb.ts";

/** What moves a node, and what that means. */
export const nodeEvents = {
  enrolled: "its agent has asked to join",
  approved: "the operator, or the policy, lets it join",
  reserved: "a deployment has started, or goes on, on it",
  provision: "a provisioning step runs on it",
  provisioned: "its installed system has proved itself",
  configure: "a config task runs on it",
  completed: "its last step has succeeded",
  release: "it is taken back into the ramdisk to be cleaned",
  clean: "its disks are being wiped",
  cleaned: "its disks are wiped",
  failed: "a step has failed for good",
  silent: "its agent has been silent for longer than the grace time, in the middle of a step",
  stopped: "its deployment was stopped after a step had begun on it",
  untouched: "its deployment was stopped before it began on it, and it was free",
  unchanged: "its deployment was stopped before it began on it, and it had been deployed",
} as const;

export type NodeEvent = keyof typeof nodeEvents;

/** How the work of a deployment can end in every state in which it has the node. */
const ends = { failed: S.ERROR, silent: S.LOST, stopped: S.ERROR } as const;

/*
 * DISCOVERED -> AWAITING_APPROVAL -> AVAILABLE -> RESERVED -> PROVISIONING -> PROVISIONED -> CONFIGURING -> READY
 *                                       ^            ^ |
 *                                       |            | +----> RELEASING -> CLEANING --+
 *                                       +------------|------------------ cleaned -----+
 *                                                    +-- reserved (retry, redeploy, release) -- READY, ERROR, LOST
 */
export const nodeTransitions: Record<S, Partial<Record<NodeEvent, S>>> = {
  [S.UNSPECIFIED]: {},
  [S.DISCOVERED]: { enrolled: S.AWAITING_APPROVAL, approved: S.AVAILABLE },
  [S.AWAITING_APPROVAL]: { approved: S.AVAILABLE },
  [S.AVAILABLE]: { reserved: S.RESERVED },
  [S.RESERVED]: {
    ...ends,
    provision: S.PROVISIONING,
    provisioned: S.PROVISIONED,
    configure: S.CONFIGURING,
    completed: S.READY,
    release: S.RELEASING,
    clean: S.CLEANING,
    untouched: S.AVAILABLE,
    unchanged: S.READY,
  },
  [S.PROVISIONING]: { ...ends, provisioned: S.PROVISIONED, completed: S.READY },
  [S.PROVISIONED]: { ...ends, provision: S.PROVISIONING, configure: S.CONFIGURING, completed: S.READY },
  [S.CONFIGURING]: { ...ends, provision: S.PROVISIONING, completed: S.READY, release: S.RELEASING },
  [S.READY]: { reserved: S.RESERVED },
  [S.RELEASING]: { ...ends, clean: S.CLEANING, cleaned: S.AVAILABLE },
  [S.CLEANING]: { ...ends, release: S.RELEASING, cleaned: S.AVAILABLE },
  // What does not depend on the failed step goes on.
  [S.ERROR]: { reserved: S.RESERVED, provision: S.PROVISIONING, configure: S.CONFIGURING, silent: S.LOST },
  [S.LOST]: { reserved: S.RESERVED, provision: S.PROVISIONING, configure: S.CONFIGURING, failed: S.ERROR },
};

/** The state after an event; an event that means nothing in a state leaves it. */
export function nodeStateAfter(state: S, event: NodeEvent): S {
  return nodeTransitions[state]?.[event] ?? state;
}

/** A deployment is changing the node: nobody else may. */
export function isBusy(state: S): boolean {
  return busyStates.some((busy) => busy === state);
}

const busyStates = [S.RESERVED, S.PROVISIONING, S.PROVISIONED, S.CONFIGURING, S.RELEASING, S.CLEANING];
