// How chunks come into the store: all of an image or none, and none under its name before its content was checked
// and is safe on the disk. They are gathered in `incoming/`, checked there, synced at once, and then renamed.
// What a crash leaves in `incoming/` nobody believes; it goes at the next start.
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import {
  copyFile,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
  unlink,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { mapBounded, type Progress } from "./bounded.ts";
import { digestOf, pathOf, sizeIfThere, type WantedChunk } from "./chunk-store.ts";
import { errorCode } from "./files.ts";
import { ImageError } from "./image-error.ts";

/** Below the store: what is not in it yet. */
export const incoming = "incoming";

// Left free for the daemon's database, which mostly shares the disk and cannot go on without it: so much, or this
// part of a small disk.
const reserve = { bytes: 256 << 20, share: 0.05 };

/** What a disk without room says. */
const full = ["ENOSPC", "EDQUOT"];
/** What link() says of a file that can only be copied. */
const notLinked = ["EXDEV", "EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP"];

export type IntakeOptions = { move?: boolean; onProgress?: Progress };

/** Takes back what has come in, for when what needs it could not be stored. What was there before stays. */
export type Undo = () => Promise<void>;

/**
 * Brings `chunks` from `source` into `store`, over those that are there. `move`: without copying where that can be
 * done; discardChunks() ends the move, when nothing can fail any more. Throws ImageError DAMAGED or DISK_FULL, and
 * has then brought none.
 */
export async function takeIn(
  store: string,
  chunks: WantedChunk[],
  source: string,
  { move = false, onProgress }: IntakeOptions = {},
): Promise<Undo> {
  const added: string[] = [];
  const undo = async () => {
    await mapBounded(added, undefined, (path) => rm(path, { force: true }));
  };
  if (!chunks.length) return undo;
  let gathered: string | undefined;
  try {
    await mkdir(join(store, incoming), { recursive: true });
    const aside = await mkdtemp(join(store, incoming, "image-"));
    gathered = aside;
    await checkRoom(aside, chunks, source, move);
    await mapBounded(chunks, onProgress, (chunk) => gather(chunk, source, join(aside, chunk.name), move));
    await syncFileSystem(aside);
    for (const shelf of new Set(chunks.map((chunk) => dirname(pathOf(store, chunk)))))
      await mkdir(shelf, { recursive: true });
    await mapBounded(chunks, undefined, (chunk) => {
      return giveName(join(aside, chunk.name), pathOf(store, chunk), added);
    });
    await syncFileSystem(aside);
  } catch (error) {
    await undo();
    throw diskFullIf(error, store);
  } finally {
    if (gathered) await rm(gathered, { recursive: true, force: true });
  }
  return undo;
}

/** Removes an image's chunks, which the store has now, from the directory that they were to be moved from. */
export async function discardChunks(store: string, chunks: WantedChunk[], source: string): Promise<void> {
  const shelves = Map.groupBy(chunks, (chunk) => dirname(pathOf(source, chunk)));
  await mapBounded([...shelves], undefined, async ([shelf, itsChunks]) => {
    // A link to the store's own directory: what is there stays.
    if (await isSameFile(shelf, join(store, relative(source, shelf)))) return;
    // What cannot be removed costs room, and nothing else.
    for (const chunk of itsChunks) await unlink(pathOf(source, chunk)).catch(() => {});
    await rmdir(shelf).catch(() => {});
  });
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((path) => stat(path).catch(() => undefined)));
  return a !== undefined && a.ino === b?.ino && a.dev === b.dev;
}

/** The error itself, or that the disk is full if that is what it says. */
export function diskFullIf(error: unknown, store: string): unknown {
  if (!full.includes(errorCode(error) ?? "")) return error;
  const remedy = "make room there, with `muster image gc` for instance";
  return new ImageError("DISK_FULL", `the disk of ${store} is full; ${remedy}`, { cause: error });
}

// Before it is filled to the brim: others need it as well.
async function checkRoom(aside: string, chunks: WantedChunk[], source: string, move: boolean): Promise<void> {
  const isSameDisk = (await stat(aside)).dev === (await stat(source).catch(() => undefined))?.dev;
  if (move && isSameDisk) return;
  const needed = chunks.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const { bavail, bsize, blocks } = await statfs(aside);
  const left = bavail * bsize;
  const kept = Math.floor(Math.min(reserve.bytes, blocks * bsize * reserve.share));
  if (needed + kept <= left) return;
  const remedy = "make room there, with `muster image gc` for instance";
  throw new ImageError(
    "DISK_FULL",
    `it needs ${needed} bytes, and the disk of ${dirname(dirname(aside))} has ${left} left, ` +
      `of which ${kept} are kept free for the daemon; ${remedy}`,
  );
}

// What is checked is what was gathered, whatever becomes of the file that it came from.
async function gather(chunk: WantedChunk, source: string, aside: string, move: boolean): Promise<void> {
  const { name, storedBytes, offset } = chunk;
  const from = pathOf(source, chunk);
  const damaged = (what: string) =>
    new ImageError("DAMAGED", `chunk ${name} at offset ${offset}: ${from} ${what}; build the image again`);
  const expected = `expected ${storedBytes} bytes with digest ${name}`;
  const size = await sizeIfThere(from);
  if (size === undefined) throw damaged("is missing, and the store has not got it either");
  // Before it is read: it may be a file of any size.
  if (size !== storedBytes) throw damaged(`has ${size} bytes, ${expected}`);
  await bring(from, aside, move);
  const found = await digestOf(await readFile(aside));
  if (found !== name) throw damaged(`has ${size} bytes with digest ${found}, ${expected}`);
}

// A move is a link that stays until the image is registered: killed at any instant, the source is whole. A plain
// copy shares nothing with the source, so what damages that later does not reach the store; neither does a link to
// a file that its owner, someone else, may go on writing to.
async function bring(from: string, aside: string, move: boolean): Promise<void> {
  if (move) {
    const file = await lstat(from);
    if (file.isFile() && file.uid === process.getuid?.()) {
      try {
        await link(from, aside);
        return;
      } catch (error) {
        if (!notLinked.includes(errorCode(error) ?? "")) throw error;
      }
    }
  }
  await copyFile(from, aside, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
}

async function giveName(aside: string, path: string, added: string[]): Promise<void> {
  if ((await sizeIfThere(path)) === undefined) added.push(path);
  await rename(aside, path);
}

// One sync for thousands of files: one by one they take longer than to write them.
async function syncFileSystem(directory: string): Promise<void> {
  await promisify(execFile)("sync", ["--file-system", directory], { env: { ...process.env, LC_ALL: "C" } });
}
