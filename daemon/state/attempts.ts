// The history of attempts. It is not kept in memory: it is read from the database, a page at a time.
import type { Attempt } from "../../proto/gen/muster/v1/deployment_pb.ts";
import {
  asResource,
  attemptKeyOf,
  attemptOrderKey,
  below,
  type Database,
  decodeRecord,
  pages,
} from "./records.ts";

export type AttemptFilter = { deployment?: string; node?: string; task?: string };

/** Where a page goes on after this attempt, which need not be there any more by then. */
export const attemptCursor = attemptOrderKey;

/** The newest first: those that began last. */
export async function readAttempts(
  database: Database,
  filter: AttemptFilter,
  after: string | undefined,
  limit: number,
): Promise<Attempt[]> {
  const range = { ...below("b/"), ...(after !== undefined && { lt: after }), reverse: true };
  const attempts: Attempt[] = [];
  for await (const page of pages(database.keys(range))) {
    for (const key of page.filter((key) => matches(key, filter))) {
      const attempt = await readAttempt(database, attemptKeyOf(key));
      // A number that was given again after a restore has two places in the order, and only one record.
      if (attempt && attemptOrderKey(attempt) === key) attempts.push(attempt);
      if (attempts.length === limit) return attempts;
    }
  }
  return attempts;
}

/** Every key of a deployment's attempts. */
export async function attemptKeys(database: Database, deployment: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of pages(database.iterator(below(`a/${deployment}/`)))) {
    for (const [key, value] of page) {
      keys.push(key);
      const { kind } = decodeRecord(key, value, asResource);
      if (kind.case === "attempt") keys.push(attemptOrderKey(kind.value));
    }
  }
  return keys;
}

async function readAttempt(database: Database, key: string): Promise<Attempt | undefined> {
  const value = await database.get(key);
  const kind = value && decodeRecord(key, value, asResource).kind;
  return kind?.case === "attempt" ? kind.value : undefined;
}

function matches(orderKey: string, { deployment, node, task }: AttemptFilter): boolean {
  const [, , ...parts] = orderKey.split("/");
  return (
    (deployment === undefined || parts[0] === deployment) &&
    (node === undefined || parts[1] === node) &&
    (task === undefined || parts[2] === task)
  );
}
