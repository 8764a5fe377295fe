// The life of a node as one table. Nothing else sets a node's state.
import { Node_State as S } from "../../proto/gen/muster/v1/node_pb.ts";

export type NodeEvent =
  /** Its agent asked to join. */
  | "enrolled"
  /** The operator, or the policy, let it join. */
  | "approved"
  /** A deployment has started (again) on it. */
  | "reserved"
  /** A provisioning step runs on it. */
  | "provision"
  /** The installed system has proved itself. */
  | "provisioned"
  /** A config task runs on it. */
  | "configure"
  /** Its last step has succeeded. */
  | "completed"
  /** A step has failed for good. */
  | "failed"
  /** No word from its agent for longer than the grace time, in the middle of a step. */
  | "silent";

/*
 *  DISCOVERED -> AWAITING_APPROVAL -> AVAILABLE -> RESERVED -> PROVISIONING -> PROVISIONED -> CONFIGURING -> READY
 *                                                     ^            |                |             |         |
 *                                                     |            +--- failed -> ERROR, silent -> LOST     |
 *                                                     +---------------- reserved (retry, redeploy) ---------+
 */
export const nodeTransitions: Record<S, Partial<Record<NodeEvent, S>>> = {
  [S.UNSPECIFIED]: {},
  [S.DISCOVERED]: { enrolled: S.AWAITING_APPROVAL, approved: S.AVAILABLE },
  [S.AWAITING_APPROVAL]: { enrolled: S.AWAITING_APPROVAL, approved: S.AVAILABLE },
  [S.AVAILABLE]: { reserved: S.RESERVED },
  [S.RESERVED]: {
    provision: S.PROVISIONING,
    provisioned: S.PROVISIONED,
    configure: S.CONFIGURING,
    completed: S.READY,
    failed: S.ERROR,
    silent: S.LOST,
  },
  [S.PROVISIONING]: {
    provision: S.PROVISIONING,
    provisioned: S.PROVISIONED,
    failed: S.ERROR,
    silent: S.LOST,
  },
  [S.PROVISIONED]: {
    provision: S.PROVISIONING,
    configure: S.CONFIGURING,
    completed: S.READY,
    failed: S.ERROR,
    silent: S.LOST,
  },
  [S.CONFIGURING]: { configure: S.CONFIGURING, completed: S.READY, failed: S.ERROR, silent: S.LOST },
  [S.READY]: { reserved: S.RESERVED },
  [S.ERROR]: { reserved: S.RESERVED, failed: S.ERROR },
  [S.LOST]: { reserved: S.RESERVED, silent: S.LOST },
};

/** The state after an event; an event that means nothing in a state leaves it. */
export function nodeStateAfter(state: S, event: NodeEvent): S {
  return nodeTransitions[state]?.[event] ?? state;
}

/** A deployment is changing the node: nobody else may. */
export function isBusy(state: S): boolean {
  return [S.RESERVED, S.PROVISIONING, S.PROVISIONED, S.CONFIGURING].some((busy) => busy === state);
}
