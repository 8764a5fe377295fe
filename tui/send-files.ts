// Sends the daemon what it does not have of packed trees: a few files at a time, each in pieces.
import { open } from "node:fs/promises";
import { pieceBytes } from "../proto/files/limits.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import type { Operator } from "./client.ts";
import { RefusedError } from "./errors.ts";
import type { Packed } from "./pack.ts";

const parallel = 4;
/** What one call of FindMissing takes. */
const askedAtOnce = 10_000;
/** A daemon that has to wait for its disk is not gone. */
const timeoutMs = 60_000;

type Files = Operator["files"];

export async function sendTrees(files: Files, trees: readonly Packed[]): Promise<void> {
  const paths = new Map(trees.flatMap((packed) => [...packed.files]));
  const missing = await findMissing(files, [...paths.keys(), ...trees.map(({ digest }) => digest)]);
  const queue = missing.values();
  const worker = async () => {
    for (const digest of queue) {
      const path = paths.get(digest);
      if (path !== undefined) await sendFile(files, digest, path);
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  for (const { digest, tree } of trees) {
    if (missing.has(digest)) await files.putTree({ tree }, { timeoutMs });
  }
}

async function findMissing(files: Files, digests: string[]): Promise<Set<string>> {
  const missing = new Set<string>();
  for (let at = 0; at < digests.length; at += askedAtOnce) {
    const part = digests.slice(at, at + askedAtOnce);
    for (const digest of (await files.findMissing({ digests: part }, { timeoutMs })).digests)
      missing.add(digest);
  }
  return missing;
}

async function sendFile(files: Files, digest: string, path: string): Promise<void> {
  const file = await open(path);
  try {
    const piece = Buffer.alloc(pieceBytes);
    for (let offset = 0, last = false; !last; ) {
      const { bytesRead } = await file.read(piece, 0, pieceBytes, offset);
      last = bytesRead < pieceBytes;
      const content = piece.subarray(0, bytesRead);
      await files.putFile({ digest, offset: BigInt(offset), content, last }, { timeoutMs });
      offset += bytesRead;
    }
  } catch (error) {
    const changed = error instanceof RpcError && error.code === codes.INVALID_ARGUMENT;
    if (changed) throw new RefusedError(`${path} has changed while it was read; nothing was stored`);
    throw error;
  } finally {
    await file.close();
  }
}
