// Why calls are refused: the reasons that an error carries, for programs to switch on. A test holds the daemon to
// this list; the documentation of the API shows it.
import type { codes } from "./status.ts";

type Code = keyof typeof codes;

export const reasons: Record<string, { code: Code; about: string }> = {
  BEGUN: { code: "FAILED_PRECONDITION", about: "A step that has begun, or is done, cannot be held." },
  BUSY: { code: "FAILED_PRECONDITION", about: "A deployment is using it: wait for that, or stop it." },
  CANNOT_ASSIGN: {
    code: "FAILED_PRECONDITION",
    about: "No nodes can be given to the cluster as it wants them; one violation per fault.",
  },
  CANNOT_PLAN: {
    code: "FAILED_PRECONDITION",
    about: "The cluster cannot be planned; one violation per fault.",
  },
  CONSUMER_TOO_SLOW: {
    code: "RESOURCE_EXHAUSTED",
    about: "The watcher did not read fast enough: watch again from the last revision that came.",
  },
  CSR: { code: "INVALID_ARGUMENT", about: "The request for a certificate cannot be used." },
  DIGEST_MISMATCH: {
    code: "INVALID_ARGUMENT",
    about: "What came of a file is not what its digest names; nothing of it was kept: send it again.",
  },
  DISK_FULL: {
    code: "RESOURCE_EXHAUSTED",
    about: "The daemon's disk has no room for it, and nothing of it was kept: make room there.",
  },
  ETAG_MISMATCH: {
    code: "ABORTED",
    about:
      "It has changed since the caller looked; the metadata has the current `etag`. Look again, then decide.",
  },
  FETCH_DENIED: {
    code: "PERMISSION_DENIED",
    about: "The node may not send that: no attempt that fetches it runs there.",
  },
  FILES_MISSING: {
    code: "FAILED_PRECONDITION",
    about: "Files of the tree are not stored: send them first.",
  },
  GAP: {
    code: "OUT_OF_RANGE",
    about: "The piece does not follow what is there; the metadata has its `size`: go on from there.",
  },
  IMAGE_DAMAGED: {
    code: "DATA_LOSS",
    about: "The image store lacks a chunk, or has it damaged: repair the image.",
  },
  IMAGE_IN_USE: {
    code: "FAILED_PRECONDITION",
    about: "A role names the image, or a running deployment uses it: change the role, or wait.",
  },
  IMAGE_QUOTA: {
    code: "RESOURCE_EXHAUSTED",
    about:
      "The image store may not grow so much; the metadata has `needed`, `stored`, `quota` and what collecting would free, `collectable`, in bytes.",
  },
  IMAGE_NOT_ASSIGNED: {
    code: "PERMISSION_DENIED",
    about: "The node has no use for that image: no deployment puts it there.",
  },
  INVALID_FILTER: { code: "INVALID_ARGUMENT", about: "The filter cannot be understood." },
  INVALID_IMAGE: { code: "INVALID_ARGUMENT", about: "The directory holds no image, or a damaged one." },
  INVALID_MANIFEST: {
    code: "INVALID_ARGUMENT",
    about: "Manifests have faults; one field violation each, with its place.",
  },
  INVALID_PAGE_TOKEN: {
    code: "INVALID_ARGUMENT",
    about: "The token is not from this call with this filter.",
  },
  INVALID_REQUEST: {
    code: "INVALID_ARGUMENT",
    about: "The request breaks rules of its fields; one violation each.",
  },
  INVALID_TREE: { code: "INVALID_ARGUMENT", about: "The tree is not as its message says." },
  INVALID_UPDATE_MASK: { code: "INVALID_ARGUMENT", about: "A path of the mask cannot be set." },
  IN_USE: { code: "FAILED_PRECONDITION", about: "Something else names it: change that first." },
  JOIN_TOKEN: {
    code: "UNAUTHENTICATED",
    about: "The machine booted a ramdisk of another daemon, or an old one.",
  },
  KEY_CONFLICT: { code: "ALREADY_EXISTS", about: "The node is known under another key, and in use." },
  NODE_BUSY: {
    code: "FAILED_PRECONDITION",
    about: "Another deployment has the node; one violation per node.",
  },
  NOTHING_TO_RETRY: { code: "FAILED_PRECONDITION", about: "Every step has succeeded." },
  NOT_FOUND: { code: "NOT_FOUND", about: "There is nothing of that name; the metadata has the `name`." },
  NOT_JOINED: {
    code: "UNAUTHENTICATED",
    about: "The certificate is of no node, or of a key that is no longer approved: join again.",
  },
  NOT_NEWEST: { code: "FAILED_PRECONDITION", about: "The cluster has a newer deployment: go on with that." },
  NOT_RUNNING: { code: "FAILED_PRECONDITION", about: "The deployment has ended." },
  NOT_STOPPED: { code: "FAILED_PRECONDITION", about: "There is no stop to take back." },
  NOT_WAITING: { code: "FAILED_PRECONDITION", about: "The node does not ask to join." },
  NO_NODES: { code: "FAILED_PRECONDITION", about: "The selectors choose no node." },
  NO_POWER_DRIVER: { code: "FAILED_PRECONDITION", about: "The node's manifest has no power driver." },
  PLAN_CHANGED: {
    code: "ABORTED",
    about:
      "The plan is no longer the one agreed to; the metadata has the new `plan_hash`. Look again, then decide.",
  },
  POWER_DRIVER: { code: "UNAVAILABLE", about: "The driver did not do it; the message has its words." },
  REQUEST_ID_REUSED: { code: "INVALID_ARGUMENT", about: "The request id was used for another request." },
  REVISION_COMPACTED: {
    code: "OUT_OF_RANGE",
    about: "Changes since then are no longer kept: watch again from 0.",
  },
  RUNNING: {
    code: "FAILED_PRECONDITION",
    about: "A deployment of the cluster is running: wait for it, or stop it.",
  },
  SECRET_DENIED: {
    code: "PERMISSION_DENIED",
    about: "Only the attempt that runs on the calling node, and whose action names the secret, is given it.",
  },
  SECRET_UNREADABLE: {
    code: "DATA_LOSS",
    about:
      "The secret was stored under another key: restore the daemon's pki directory, or set the secret again.",
  },
  STALLED: {
    code: "ABORTED",
    about: "The receiver has not read for too long: fetch again what has not come.",
  },
  STATE_UNWRITABLE: {
    code: "UNAVAILABLE",
    about:
      "The disk does not take the change, and the daemon ends: whether it is stored shows when it is back.",
  },
  STOPPING: { code: "UNAVAILABLE", about: "The daemon is stopping: call again when it is back." },
  TICKET: {
    code: "UNAUTHENTICATED",
    about:
      "The data plane was given no ticket, or one that is damaged, expired or for another image: ask where the image is.",
  },
  TOO_LARGE: {
    code: "RESOURCE_EXHAUSTED",
    about: "The fetched file is larger than its action allows; nothing of it was kept.",
  },
  TREE_DAMAGED: {
    code: "DATA_LOSS",
    about: "What the daemon has stored of the tree is damaged: delete that file, and apply the task again.",
  },
  TREE_DENIED: {
    code: "PERMISSION_DENIED",
    about: "The node may not have that: no attempt that needs the tree runs there.",
  },
  UNDECODABLE: { code: "INVALID_ARGUMENT", about: "The bytes are no message of the request's type." },
  UNKNOWN_CHECK: { code: "INVALID_ARGUMENT", about: "There is no check of that name." },
  UNKNOWN_STEP: { code: "INVALID_ARGUMENT", about: "The plan has no such step." },
  WRONG_CODE: {
    code: "INVALID_ARGUMENT",
    about: "The approval code is another: compare it with the node's console.",
  },
};
