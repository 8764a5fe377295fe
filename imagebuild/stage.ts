// The builder's cache: a stage's result is kept under a name that contains the digest of everything it was
// made from, so that a second build with nothing changed finds it. Results appear whole or not at all.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Progress } from "./progress.ts";

export type Workshop = {
  /** `<state>/build`. */
  directory: string;
  /** The daemon's images, `<state>/images`: what of them is there already need not be made again. */
  store: string;
  /** This process's own folder for things half made; removed when the build ends. */
  scratch: string;
  progress: Progress;
  signal: AbortSignal;
  /** Makes everything anew, for the packages of today. */
  fresh: boolean;
};

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** The same for the same inputs, whatever the order of their fields. */
export function stageKey(inputs: Json): string {
  return createHash("sha256").update(canonical(inputs)).digest("hex").slice(0, 20);
}

function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(",")}}`;
}

/** Path of the stage's result (a file or folder), which `make` writes to the path it is given. */
export async function stage(
  shop: Workshop,
  label: string,
  inputs: Json,
  make: (target: string) => Promise<void>,
): Promise<string> {
  const cache = join(shop.directory, "cache");
  const name = `${label}-${stageKey(inputs)}`;
  const result = join(cache, name);
  if (!shop.fresh && (await exists(result))) {
    shop.progress.reused(label);
    return result;
  }
  await mkdir(cache, { recursive: true });
  const half = join(shop.scratch, name);
  await make(half);
  shop.signal.throwIfAborted();
  await rm(result, { recursive: true, force: true });
  await rename(half, result);
  await removeOlder(cache, label, name);
  return result;
}

/** One result per label is kept: images are large, and an older one is never asked for again. */
async function removeOlder(cache: string, label: string, keep: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const older = name.startsWith(`${label}-`) && /^[0-9a-f]{20}$/.test(name.slice(label.length + 1));
    if (older && name !== keep) await rm(join(cache, name), { recursive: true, force: true });
  }
}

/** Opens the workshop under the state directory; what earlier builds that were killed left is removed. */
export async function withWorkshop<T>(
  options: { stateDirectory: string; fresh: boolean; progress: Progress; signal: AbortSignal },
  work: (shop: Workshop) => Promise<T>,
): Promise<T> {
  const directory = join(options.stateDirectory, "build");
  const scratches = join(directory, "scratch");
  const scratch = join(scratches, String(process.pid));
  await mkdir(scratches, { recursive: true, mode: 0o755 });
  for (const pid of await readdir(scratches)) {
    if (!isAlive(Number(pid)) || pid === String(process.pid)) {
      await rm(join(scratches, pid), { recursive: true, force: true });
    }
  }
  await mkdir(scratch);
  try {
    const { progress, signal, fresh } = options;
    return await work({
      directory,
      store: join(options.stateDirectory, "images"),
      scratch,
      progress,
      signal,
      fresh,
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Hexadecimal sha256 of a file. */
export async function fileDigest(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const part of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(part as Buffer);
  return hash.digest("hex");
}

/** A stage's result as an input of the next: it is another one when it was made anew. */
export async function stamp(result: string): Promise<string> {
  return `${basename(result)} ${(await stat(result)).mtimeMs}`;
}

/** Digest of the builder's own sources: when it changes, so may what it makes. */
export async function builderDigest(): Promise<string> {
  const hash = createHash("sha256");
  const names = await readdir(import.meta.dirname, { recursive: true });
  for (const name of names.sort()) {
    const path = join(import.meta.dirname, name);
    if (name.endsWith(".test.ts") || (await stat(path)).isDirectory()) continue;
    hash
      .update(name)
      .update("\0")
      .update(await readFile(path))
      .update("\0");
  }
  return hash.digest("hex");
}
