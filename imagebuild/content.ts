// From whatever was given (plain or compressed; raw, qcow2 or tar; a file or a stream) to what is cut into
// chunks: a tar as a stream, anything else as a file, since its tables must be read before its content.
import { createReadStream } from "node:fs";
import { open, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { RefusedError } from "./errors.ts";
import { type Compression, compressionOf, headBytes, isQcow2, isTar } from "./magic.ts";
import { streamParts } from "./parts.ts";
import { requireTools, runTool, streamTool } from "./tools.ts";

export type Stream = AsyncIterable<Uint8Array>;

/** `name`: for people. `path` is absent for a stream. */
export type Given = { name: string; path: string } | { name: string; stream: Stream };

export type Content =
  | { form: "tar"; stream: Stream /** Throws if what made the stream failed. */; finished: Promise<unknown> }
  | { form: "raw"; path: string };

export type Room = {
  /** For what has to be a file: sparse, as large as the image's content. */
  scratch: string;
  signal: AbortSignal;
  /** Of what was given, in bytes. */
  onProgress: (done: number, total?: number) => void;
};

/** Throws RefusedError if it is nothing that can be imported. */
export async function openContent(given: Given, room: Room): Promise<Content> {
  const outer = "path" in given ? await openFile(given, room) : await peek(counted(given.stream, room));
  const compression = compressionOf(outer.head);
  if (!compression)
    return settle(given, outer, "path" in given ? given.path : undefined, Promise.resolve(), room);
  const { output, finished } = await decompress(compression, outer.stream, room);
  const inner = await peek(output).catch(async (error: unknown) => {
    await finished;
    throw error;
  });
  return settle(given, inner, undefined, finished, room);
}

type Peeked = { head: Buffer; stream: Stream };

async function settle(
  given: Given,
  { head, stream }: Peeked,
  path: string | undefined,
  finished: Promise<unknown>,
  room: Room,
): Promise<Content> {
  if (head.length === 0) {
    await finished;
    throw new RefusedError(`${given.name} is empty`);
  }
  if (compressionOf(head)) {
    throw new RefusedError(`${given.name} is compressed twice; decompress it once and import the result`);
  }
  if (isTar(head)) return { form: "tar", stream, finished };
  const file = path ?? (await spool(stream, join(room.scratch, "source"), room.signal));
  await finished;
  return { form: "raw", path: isQcow2(head) ? await convert(given.name, file, room) : file };
}

async function openFile({ path, name }: { path: string; name: string }, room: Room): Promise<Peeked> {
  const facts = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new RefusedError(`${name} cannot be read (${cause.code}); give a file, an address or -`, { cause });
  });
  if (!facts.isFile())
    throw new RefusedError(`${name} is no file; pipe it: muster image import NAME - < ${name}`);
  const file = await open(path);
  try {
    const head = Buffer.alloc(Math.min(headBytes, facts.size));
    await file.read(head, 0, head.length, 0);
    return { head, stream: counted(createReadStream(path, { highWaterMark: 1 << 20 }), room, facts.size) };
  } finally {
    await file.close();
  }
}

async function* counted(stream: Stream, room: Room, total?: number): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const bytes of stream) {
    room.signal.throwIfAborted();
    done += bytes.length;
    room.onProgress(done, total);
    yield bytes;
  }
}

/** The stream's beginning, and the whole of it. */
async function peek(stream: Stream): Promise<Peeked> {
  const iterator = stream[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let size = 0;
  while (size < headBytes) {
    const { value, done } = await iterator.next();
    if (done) break;
    first.push(value);
    size += value.length;
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield* first;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { head: Buffer.concat(first).subarray(0, headBytes), stream: whole() };
}

async function decompress(compression: Compression, stream: Stream, { signal }: Room) {
  await requireTools([compression]);
  const result = streamTool(compression, ["-dc"], stream, { signal });
  // It is awaited when its output has ended; it may fail before.
  result.finished.catch(() => {});
  return result;
}

/** Writes a stream to a file whose zeros take no room. */
async function spool(stream: Stream, path: string, signal: AbortSignal): Promise<string> {
  const file = await open(path, "w");
  let size = 0;
  try {
    for await (const { offset, content } of streamParts(stream)) {
      signal.throwIfAborted();
      size = offset + content.length;
      for (const [from, to] of nonZeroRuns(content))
        await file.write(content, from, to - from, offset + from);
    }
  } finally {
    await file.close();
  }
  await truncate(path, size);
  return path;
}

const pageBytes = 64 << 10;
const noughts = Buffer.alloc(pageBytes);

function* nonZeroRuns(content: Buffer): Generator<[number, number]> {
  let from = 0;
  for (let at = 0; at < content.length; at += pageBytes) {
    const end = Math.min(at + pageBytes, content.length);
    if (content.compare(noughts, 0, end - at, at, end) !== 0) continue;
    if (from < at) yield [from, at];
    from = end;
  }
  if (from < content.length) yield [from, content.length];
}

type QcowInfo = {
  "backing-filename"?: string;
  "format-specific"?: { data?: { "data-file"?: string; encrypt?: object } };
};

async function convert(name: string, path: string, { scratch, signal }: Room): Promise<string> {
  await requireTools(["qemu-img"]);
  const info = JSON.parse(
    await runTool("qemu-img", ["info", "--output=json", "-f", "qcow2", path], { signal }),
  ) as QcowInfo;
  const data = info["format-specific"]?.data;
  const other = info["backing-filename"] ?? data?.["data-file"];
  // It could name any file of this machine, and its content would be in the image.
  if (other) {
    throw new RefusedError(
      `${name} is only the changes to another file, ${other}; make it whole with \`qemu-img convert -O qcow2\``,
    );
  }
  if (data?.encrypt) throw new RefusedError(`${name} is encrypted; decrypt it with \`qemu-img convert\``);
  const raw = join(scratch, "raw");
  await runTool("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", "-S", "4k", path, raw], { signal });
  return raw;
}
