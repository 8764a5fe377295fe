// What the image store holds, what of it nobody needs, and how that goes. What refers to a chunk is read from the
// manifests each time and stored nowhere, so it cannot be wrong.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { chunkName, manifestFile, signatureFile } from "../../proto/image/layout.ts";
import { mapBounded } from "./bounded.ts";
import { incoming } from "./chunk-intake.ts";
import { sizeIfThere } from "./chunk-store.ts";
import { errorCode, isTemporary, syncDirectory } from "./files.ts";
import type { ImageFiles } from "./image-files.ts";

/** Paths of files, each with its size in bytes. */
type Files = Map<string, number>;

/** What nobody needs. */
export type Sweep = {
  /** Digests, and with their signatures the files. */
  manifests: string[];
  chunks: number;
  /** Of all files that go. */
  bytes: number;
  /** Of the store, when they are gone. */
  bytesLeft: number;
  /** In the order in which they go: no manifest is ever without its chunks. */
  paths: string[];
};

/** Of all that the store holds. */
export async function storedBytes({ directory }: ImageFiles): Promise<number> {
  return total(await manifestFiles(directory)) + total(await chunkFiles(directory));
}

/**
 * What goes when only these manifests, by their digests, are needed; those that the store has not got do not
 * count. Throws ImageError DAMAGED if one of them cannot be read, because what it needs is not known then.
 */
export async function survey(files: ImageFiles, needed: ReadonlySet<string>): Promise<Sweep> {
  const { directory } = files;
  const manifests = await manifestFiles(directory);
  const chunks = await chunkFiles(directory);
  const all = total(manifests) + total(chunks);
  for (const digest of needed) {
    const manifest = await files.manifest(digest);
    if (!manifest) continue;
    manifests.delete(join(directory, manifestFile(digest)));
    manifests.delete(join(directory, signatureFile(digest)));
    for (const chunk of manifest.chunks) chunks.delete(files.chunkPath(chunkName(chunk)));
  }
  const bytes = total(manifests) + total(chunks);
  return {
    manifests: [...manifests.keys()].flatMap((path) => /([0-9a-f]{64})\.binpb$/.exec(path)?.[1] ?? []),
    chunks: chunks.size,
    bytes,
    bytesLeft: all - bytes,
    paths: [...manifests.keys(), ...chunks.keys()],
  };
}

/** Carries it out. Nothing may have come into the store since the survey. */
export async function sweep(files: ImageFiles, { manifests, paths }: Sweep): Promise<void> {
  const isManifest = (path: string) => path.startsWith(join(files.directory, "manifests"));
  await mapBounded(paths.filter(isManifest), undefined, (path) => rm(path, { force: true }));
  for (const digest of manifests) files.forget(digest);
  // Also after a power cut: the manifests go first.
  if (paths.some(isManifest)) await syncDirectory(join(files.directory, "manifests"));
  await mapBounded(
    paths.filter((path) => !isManifest(path)),
    undefined,
    (path) => rm(path, { force: true }),
  );
  await removeLeftovers(files.directory);
}

/** What writers have left behind that were killed. There must be none at work. */
export async function removeLeftovers(directory: string): Promise<void> {
  await rm(join(directory, incoming), { recursive: true, force: true });
  for (const name of await entries(join(directory, "manifests"))) {
    if (isTemporary(name)) await rm(join(directory, "manifests", name), { force: true });
  }
}

async function manifestFiles(directory: string): Promise<Files> {
  return await sizes(join(directory, "manifests"), /^[0-9a-f]{64}\.binpb(\.sig)?$/);
}

async function chunkFiles(directory: string): Promise<Files> {
  const found: Files = new Map();
  const shelves = (await entries(join(directory, "chunks"))).filter((name) => /^[0-9a-f]{2}$/.test(name));
  for (const shelf of shelves) {
    for (const [path, size] of await sizes(join(directory, "chunks", shelf), /^[0-9a-f]{64}$/))
      found.set(path, size);
  }
  return found;
}

/** Of the files in a directory whose names look like that. */
async function sizes(directory: string, pattern: RegExp): Promise<Files> {
  const names = (await entries(directory)).filter((name) => pattern.test(name));
  const paths = names.map((name) => join(directory, name));
  const found = await mapBounded(paths, undefined, sizeIfThere);
  return new Map(paths.map((path, i) => [path, found[i] ?? 0]));
}

async function entries(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

function total(files: Files): number {
  return [...files.values()].reduce((sum, bytes) => sum + bytes, 0);
}
