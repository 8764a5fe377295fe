// DaemonService.Backup: the bytes of a backup, in messages of a size that streams well.

import { writeBackup } from "../state/backup-file.ts";
import type { Store } from "../state/store.ts";

const messageBytes = 256 << 10;

export async function* backup(
  store: Store,
  stateDir: string,
  clock: () => number,
): AsyncGenerator<{ content: Uint8Array }> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of writeBackup(store, stateDir, clock())) {
    waiting.push(piece);
    bytes += piece.length;
    if (bytes < messageBytes) continue;
    yield* slices(Buffer.concat(waiting));
    waiting = [];
    bytes = 0;
  }
  yield* slices(Buffer.concat(waiting));
}

/** One record alone may be larger than a message. */
function* slices(content: Uint8Array): Generator<{ content: Uint8Array }> {
  for (let at = 0; at < content.length; at += messageBytes) {
    yield { content: content.subarray(at, at + messageBytes) };
  }
}
