// DaemonService.Backup: the bytes of a backup, in messages of a size that streams well.

import { treesToBackUp } from "../domain/needed-files.ts";
import { FileError } from "../drivers/file-error.ts";
import type { FileStore } from "../drivers/file-store.ts";
import { type NeededFile, writeBackup } from "../state/backup-file.ts";
import type { Store } from "../state/store.ts";

const messageBytes = 256 << 10;

export async function* backup(
  store: Store,
  stateDir: string,
  clock: () => number,
  files: AsyncIterable<NeededFile> | Iterable<NeededFile> = [],
): AsyncGenerator<{ content: Uint8Array }> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of writeBackup(store, stateDir, clock(), files)) {
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

/** What tasks name beside their manifests. What is damaged or gone is left out: no backup at all would be worse. */
export async function* filesToBackUp(
  { state }: Store,
  files: FileStore,
  onUnreadable: (error: FileError) => void,
): AsyncGenerator<NeededFile> {
  const known = new Set<string>();
  for (const tree of treesToBackUp(state)) {
    try {
      for (const digest of [tree, ...(await files.filesOf(tree))]) {
        if (known.has(digest)) continue;
        known.add(digest);
        yield { digest, content: await files.content(digest) };
      }
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      onUnreadable(error);
    }
  }
}
