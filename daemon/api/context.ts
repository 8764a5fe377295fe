// What every service is made of, and the few refusals that all of them use.
import type { Logger } from "pino";
import { codes, RpcError, type Violation } from "../../proto/rpc/status.ts";
import type { DataPlane } from "../delivery/data-plane.ts";
import type { PowerDrivers } from "../domain/ports.ts";
import type { Ca } from "../drivers/ca.ts";
import type { FetchedFiles } from "../drivers/fetched-files.ts";
import type { FileStore } from "../drivers/file-store.ts";
import type { ImageStore } from "../drivers/image-store.ts";
import type { SecretVault } from "../drivers/secret-vault.ts";
import type { Engine } from "../engine/engine.ts";
import type { ProgressBoard } from "../engine/progress.ts";
import type { Sessions } from "../engine/sessions.ts";
import type { StepLogs } from "../engine/step-logs.ts";
import type { WatchHub } from "../engine/watch.ts";
import type { Store } from "../state/store.ts";

export type ApiContext = {
  engine: Engine;
  store: Store;
  hub: WatchHub;
  sessions: Sessions;
  progress: ProgressBoard;
  logs: StepLogs;
  images: ImageStore;
  delivery: DataPlane;
  secrets: SecretVault;
  files: FileStore;
  fetched: FetchedFiles;
  power: PowerDrivers;
  ca: Ca;
  log: Logger;
  clock: () => number;
};

/** What can be listed is followed by how. */
export function notFound(kind: string, name: string): RpcError {
  // What is looked for among several kinds is listed by each of those that can be.
  const listed = ["node", "cluster", "image", "deployment"].filter((word) =>
    kind.split(/,? (?:or )?/).includes(word),
  );
  const lists = listed.map((word) => `\`muster get ${word}s\``).join(" and ");
  const remedy = lists && `; ${lists} ${listed.length > 1 ? "list" : "lists"} what there is`;
  return new RpcError(codes.NOT_FOUND, `there is no ${kind} ${name}${remedy}`, {
    reason: "NOT_FOUND",
    metadata: { name },
  });
}

/** The call is right, but not now: the operator has to change something first. */
export function refused(reason: string, message: string, violations: Violation[] = []): RpcError {
  return new RpcError(codes.FAILED_PRECONDITION, message, { reason, violations });
}

/** One field of the request cannot be what it is, whatever the state. */
export function invalidField(reason: string, field: string, description: string): RpcError {
  const fields = [{ field, description }];
  return new RpcError(codes.INVALID_ARGUMENT, `${field}: ${description}`, { reason, fields });
}

/** Refuses a change of what the caller has not seen as it is. Without an etag the caller does not mind. */
export function checkEtag(etag: string, subject: string, current: { etag: string }): void {
  if (!etag || etag === current.etag) return;
  const message = `${subject} has changed since you looked: look again, then decide`;
  throw new RpcError(codes.ABORTED, message, {
    reason: "ETAG_MISMATCH",
    metadata: { name: subject, etag: current.etag },
  });
}

export function byName<T extends { name: string }>(items: Iterable<T>): T[] {
  return [...items].sort((a, b) => (a.name < b.name ? -1 : 1));
}
