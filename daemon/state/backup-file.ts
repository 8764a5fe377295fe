// The file of a backup: BackupParts, each with its length before it. It is written from a snapshot of the
// database, and read so that nothing of it is believed before its count and digest are.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { sizeDelimitedEncode, sizeDelimitedPeek } from "@bufbuild/protobuf/wire";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import packageJson from "../../package.json" with { type: "json" };
import {
  type BackupHeader,
  type BackupPart,
  BackupPartSchema,
  type BackupTrailer,
} from "../../proto/gen/muster/v1/record_pb.ts";
import { StoreError } from "./errors.ts";
import { refuseNewer } from "./migrations.ts";
import type { Store } from "./store.ts";

const magic = "muster backup";
/** The largest file of a tree, and some room. */
const partMaxBytes = 257 << 20;
/** Below the state directory: what nodes trust, and what proves who they are. */
export const keptDirectories = ["pki"];
/** The directory of files that are named by their digest: in a backup they are `files/DIGEST`. */
export const filesDirectory = "files";

/** A file that stored manifests need. */
export type NeededFile = { digest: string; content: Uint8Array };

/** The whole backup, in pieces of any size. `files`: read when the snapshot has been made. */
export async function* writeBackup(
  store: Store,
  stateDir: string,
  nowMs: number,
  files: AsyncIterable<NeededFile> | Iterable<NeededFile> = [],
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  let parts = 0n;
  const encode = (part: MessageInitShape<typeof BackupPartSchema>["part"]) => {
    const bytes = sizeDelimitedEncode(BackupPartSchema, create(BackupPartSchema, { part }));
    hash.update(bytes);
    parts++;
    return bytes;
  };
  await using copy = await store.copy();
  const { schemaVersion, revision } = copy;
  const time = timestampFromMs(nowMs);
  const musterVersion = packageJson.version;
  yield encode({ case: "header", value: { magic, schemaVersion, revision, time, musterVersion } });
  for await (const page of copy.records()) {
    for (const [key, value] of page) yield encode({ case: "record", value: { key, value } });
  }
  for (const directory of keptDirectories) {
    for (const path of (await readdir(join(stateDir, directory))).sort()) {
      const file = join(stateDir, directory, path);
      const { mode } = await stat(file);
      const value = { path: `${directory}/${path}`, mode: mode & 0o777, content: await readFile(file) };
      yield encode({ case: "file", value });
    }
  }
  for await (const { digest, content } of files) {
    yield encode({ case: "file", value: { path: `${filesDirectory}/${digest}`, mode: 0o600, content } });
  }
  const digest = new Uint8Array(hash.copy().digest());
  yield encode({ case: "trailer", value: { parts, digest } });
}

/** Reads all of it and keeps nothing. Throws if it is not whole, or newer than this muster. */
export async function verifyBackup(file: string): Promise<BackupHeader> {
  let header: BackupHeader | undefined;
  for await (const part of readBackup(file)) {
    if (part.case === "header") header = part.value;
  }
  if (!header) throw bad(file, "it is empty");
  return header;
}

/** The parts of a backup, but for its trailer. Throws after the last one if they are not what was written. */
export async function* readBackup(file: string): AsyncGenerator<BackupPart["part"]> {
  const hash = createHash("sha256");
  let parts = 0n;
  let trailer: BackupTrailer | undefined;
  for await (const { frame, message } of frames(file)) {
    if (trailer) throw bad(file, "there is something behind its end");
    const { part } = decode(file, message);
    if (parts === 0n) checkHeader(file, part);
    if (part.case === "trailer") {
      trailer = part.value;
      continue;
    }
    hash.update(frame);
    parts++;
    yield part;
  }
  if (!trailer) throw bad(file, "its end is missing");
  if (trailer.parts !== parts) throw bad(file, `it has ${parts} parts of ${trailer.parts}`);
  if (!hash.digest().equals(trailer.digest)) throw bad(file, "its digest is wrong");
}

function checkHeader(file: string, part: BackupPart["part"]): void {
  if (part.case !== "header" || part.value.magic !== magic) throw bad(file, "it does not begin as a backup");
  refuseNewer(`the backup ${file}`, part.value.schemaVersion);
}

/** Each part's message, and the same with its length before it. */
async function* frames(file: string): AsyncGenerator<{ frame: Buffer; message: Buffer }> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks(file)) {
    rest = Buffer.concat([rest, chunk]);
    for (let length = peek(file, rest); length && length.end <= rest.length; length = peek(file, rest)) {
      yield { frame: rest.subarray(0, length.end), message: rest.subarray(length.start, length.end) };
      rest = rest.subarray(length.end);
    }
  }
  if (rest.length) throw bad(file, "it is cut off");
}

/** Where the next message begins and ends; undefined until its whole length has been read. */
function peek(file: string, bytes: Buffer): { start: number; end: number } | undefined {
  let length: ReturnType<typeof sizeDelimitedPeek>;
  try {
    length = sizeDelimitedPeek(bytes);
  } catch (cause) {
    throw bad(file, "a part of it has an impossible length", cause);
  }
  if (length.eof) return undefined;
  if (length.size > partMaxBytes) throw bad(file, "a part of it has an impossible length");
  return { start: length.offset, end: length.offset + length.size };
}

async function* chunks(file: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new StoreError(
      "badBackup",
      `${file} cannot be read: ${cause instanceof Error ? cause.message : cause}`,
      {
        cause,
      },
    );
  }
}

function decode(file: string, message: Buffer): BackupPart {
  try {
    return fromBinary(BackupPartSchema, message);
  } catch (cause) {
    throw bad(file, "a part of it cannot be decoded", cause);
  }
}

function bad(file: string, why: string, cause?: unknown): StoreError {
  return new StoreError("badBackup", `${file} is no whole backup of muster: ${why}; use another one`, {
    cause,
  });
}
