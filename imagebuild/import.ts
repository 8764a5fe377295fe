// `muster image import`: makes an image of what others have built, from wherever it is.
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ImageKind } from "../proto/gen/muster/v1/image_pb.ts";
import { replaceDirectory, summary, writeManifest } from "./built-image.ts";
import { checked, compare, expectedDigest, type Vouching } from "./checksum.ts";
import { type Content, type Given, openContent, type Room, type Stream } from "./content.ts";
import { download, forget } from "./download.ts";
import { RefusedError } from "./errors.ts";
import { type Facts, inspect } from "./inspect.ts";
import { createMeter, type MeterOutput } from "./meter.ts";
import { packImage } from "./pack-image.ts";
import { fileParts, type Part } from "./parts.ts";
import { bytes } from "./progress.ts";
import { fileDigest, type Workshop } from "./stage.ts";
import { fetchTorrent, forgetTorrent, isTorrent } from "./torrent.ts";
import { treeSource } from "./tree.ts";

export type ImportRequest = Vouching & {
  name: string;
  /** A file, an address (http, https, tftp), a magnet link or torrent, or - for `stdin`. */
  source: string;
  version?: string;
  /** Absent: what it looks like. */
  kind?: ImageKind;
};

export type ImportShop = Workshop & {
  /** `STATE/downloads`. */
  downloads: string;
  stdin: Stream;
  meter: MeterOutput;
};

const kinds: Record<string, ImageKind> = {
  disk: ImageKind.DISK,
  filesystem: ImageKind.FILESYSTEM,
  tree: ImageKind.TREE,
};

/** Throws RefusedError. */
export function kindOf(word: string): ImageKind {
  const kind = kinds[word];
  if (!kind) throw new RefusedError(`--kind ${word} is none of ${Object.keys(kinds).join(", ")}`);
  return kind;
}

/** The directory of the image. Throws an Error with source, cause and remedy; then there is nothing new. */
export async function importImage(shop: ImportShop, request: ImportRequest): Promise<string> {
  if (!/^[a-z][a-z0-9.-]{0,62}$/.test(request.name)) {
    throw new RefusedError(
      `${request.name} is no name for an image: 1 to 63 lower-case letters, digits, dots and hyphens, a letter first`,
    );
  }
  try {
    return await assemble(shop, request);
  } catch (error) {
    shop.signal.throwIfAborted();
    throw roomExplained(error, shop) ?? error;
  }
}

async function assemble(shop: ImportShop, request: ImportRequest): Promise<string> {
  const { scratch, signal } = shop;
  const { name, source } = request;
  const expected = await expectedDigest(source, request, {
    scratch,
    signal,
    fetch: (address) => local(shop, address),
  });
  const given = await fetchSource(shop, source, expected);
  const half = join(scratch, "image");
  await mkdir(half);
  const packed = await packGiven(shop, { given, name, half, kind: request.kind });
  const time = Date.now();
  await writeManifest(half, packed, {
    name,
    version: request.version ?? "",
    buildTime: timestampFromMs(time),
    ...packed.facts,
    source: sourceName(source),
    sourceDigest: expected ? `sha256:${expected}` : "",
  });
  const directory = join(shop.directory, "images", name);
  await replaceDirectory(half, directory, join(scratch, "replaced"));
  shop.progress.say(
    `${name}: ${factsText(packed.facts)}, ${bytes(Number(packed.sizeBytes))}; ${summary(packed)}.`,
  );
  if (isTorrent(source)) await forgetTorrent(shop.downloads, source);
  else await forget(shop.downloads, source);
  return directory;
}

/** Passwords that an address may have are nobody's business. */
function sourceName(source: string): string {
  if (source === "-") return "stdin";
  if (!URL.canParse(source)) return resolve(source);
  const url = new URL(source);
  url.username = "";
  url.password = "";
  return url.href;
}

/** What is given, complete and as expected; a stream is checked while it is read. */
async function fetchSource(shop: ImportShop, source: string, expected: string | undefined): Promise<Given> {
  if (source === "-") {
    const stream = expected ? checked(shop.stdin, expected, "stdin") : shop.stdin;
    return { name: "stdin", stream };
  }
  const path = await local(shop, source);
  if (expected) {
    const found = await fileDigest(path);
    // Otherwise the next try would find the same.
    if (found !== expected) await forget(shop.downloads, source);
    compare(found, expected, source);
  }
  return { name: source, path };
}

/** The path of a file that may be elsewhere. */
async function local(shop: ImportShop, source: string): Promise<string> {
  const { downloads: directory, signal } = shop;
  const torrent = isTorrent(source);
  if (!torrent && !/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) return resolve(source);
  if (!torrent && !/^(https?|tftp):\/\//i.test(source)) {
    throw new RefusedError(`${source}: only http, https, tftp and magnet addresses can be fetched`);
  }
  const meter = createMeter("fetch", shop.meter);
  try {
    const options = { directory, signal, onProgress: meter.at };
    return torrent ? await fetchTorrent(source, options) : await download(source, options);
  } finally {
    meter.end();
  }
}

type Work = { given: Given; name: string; half: string; kind: ImageKind | undefined };

async function packGiven(shop: ImportShop, { given, name, half, kind }: Work) {
  const { scratch, signal, store } = shop;
  const meter = createMeter("read", shop.meter);
  const room: Room = { scratch, signal, onProgress: meter.at };
  try {
    const content = await openContent(given, room);
    const source = await prepared(content, given, kind, room);
    const packed = await packImage({
      name,
      blockBytes: source.blockBytes,
      parts: source.parts,
      size: source.size,
      directory: half,
      store,
      signal,
      ...(source.total && { onProgress: (done: number) => meter.at(done, source.total) }),
    });
    return { ...packed, facts: await source.facts() };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RefusedError && !error.message.includes(given.name)) {
      throw new RefusedError(`${given.name}: ${error.message}`, { cause: error });
    }
    throw error;
  } finally {
    meter.end();
  }
}

type Source = {
  blockBytes: 512 | 4096;
  parts: AsyncIterable<Part>;
  size: () => number;
  /** Of a file whose size is known. */
  total?: number;
  /** Once all parts have been taken. */
  facts: () => Promise<Facts>;
};

async function prepared(
  content: Content,
  given: Given,
  kind: ImageKind | undefined,
  room: Room,
): Promise<Source> {
  if (content.form === "tar") {
    if (kind && kind !== ImageKind.TREE)
      throw new RefusedError(`${given.name} is a tar, which can only be a tree`);
    return { blockBytes: 512, ...treeSource(content, room.signal) };
  }
  if (kind === ImageKind.TREE) throw new RefusedError(`${given.name} is no tar, so it cannot be a tree`);
  const { facts, unused, size } = await inspect(content.path, kind, room);
  return {
    blockBytes: 4096,
    parts: fileParts(content.path, unused),
    size: () => size,
    total: size,
    facts: async () => facts,
  };
}

/** A full disk in words; undefined if that is not the cause. */
function roomExplained(error: unknown, { directory }: ImportShop): Error | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (("code" in cause && cause.code === "ENOSPC") || /No space left on device/i.test(cause.message)) {
      return new Error(
        `the disk of ${directory} is full; what the import had made there is removed. Make room (\`muster image gc\`, ` +
          "`muster image delete NAME`) and import again",
        { cause: error },
      );
    }
  }
  return undefined;
}

function factsText({ kind, filesystem, kernelVersion, firmware, rootPartition }: Facts): string {
  const what = { [ImageKind.DISK]: "disk", [ImageKind.FILESYSTEM]: "file system", [ImageKind.TREE]: "tree" }[
    kind as number
  ];
  const root = rootPartition > 0 ? `root ${filesystem} in partition ${rootPartition}` : filesystem;
  const kernel = kernelVersion && `kernel ${kernelVersion}`;
  return [what, root, kernel, firmware.join(" and ")].filter(Boolean).join(", ");
}
