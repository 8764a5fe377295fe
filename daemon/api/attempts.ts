// ListAttempts: history is not kept in memory, so it is read from the store a piece at a time.
import { attemptFields } from "../../proto/filter/fields.ts";
import {
  type Attempt,
  AttemptSchema,
  DeploymentService,
  type ListAttemptsRequest,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { attemptCursor } from "../state/attempts.ts";
import type { Store } from "../state/store.ts";
import { pageOf } from "./pages.ts";

const pieceSize = 200;

export async function listAttempts(store: Store, request: ListAttemptsRequest) {
  const { revision } = store;
  const { items, nextPageToken } = await pageOf(request, {
    method: DeploymentService.method.listAttempts,
    schema: AttemptSchema,
    fields: attemptFields,
    items: (start, exact) => newestFirst(store, start, exact),
    key: attemptCursor,
    descending: true,
  });
  return { attempts: items, revision, nextPageToken };
}

async function* newestFirst(
  store: Store,
  start: string | undefined,
  exact: ReadonlyMap<string, string>,
): AsyncGenerator<Attempt> {
  const within = { deployment: exact.get("deployment"), node: exact.get("node"), task: exact.get("task") };
  for (let after = start; ; ) {
    const piece = await store.attempts(within, after, pieceSize);
    yield* piece;
    const last = piece.at(-1);
    if (!last || piece.length < pieceSize) return;
    after = attemptCursor(last);
  }
}
