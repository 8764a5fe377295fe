// Reading and writing the device (or file) that an image goes to, past the page cache where that is possible: a
// write through it costs the processor ten times as much, and what is read back would be memory, not the disk.
import { constants, close as fsClose, fsync, open, read, write } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { promisify } from "node:util";
import { errorCode } from "./faults.ts";

/** Threads share it: file descriptors are the process's. */
export type Target = {
  path: string;
  sizeBytes: number;
  isBlockDevice: boolean;
  buffered: number;
  /** With O_DIRECT; absent where the file system knows nothing of it, such as tmpfs. */
  direct: number | undefined;
};

/** What O_DIRECT wants of addresses, offsets and sizes; some disks would be content with 512. */
export const alignment = 4096;
/** Beyond this, one system call takes no less time for a byte. */
const zeroSlabBytes = 1 << 20;

const openFile = promisify(open);
const closeFile = promisify(fsClose);
const syncFile = promisify(fsync);

/** O_EXCL on a block device: refused while it is mounted or part of something else. */
export async function openTarget(path: string): Promise<Target> {
  const facts = await stat(path);
  const isBlockDevice = facts.isBlockDevice();
  const sizeBytes = isBlockDevice ? await deviceSize(facts.rdev) : facts.size;
  const buffered = await openFile(path, constants.O_RDWR | constants.O_EXCL).catch((cause: unknown) => {
    if (errorCode(cause) !== "EBUSY") throw cause;
    throw new Error(
      `${path} is in use by something that is no step; see lsblk. Unmount or stop it and retry.`,
      { cause },
    );
  });
  try {
    return { path, sizeBytes, isBlockDevice, buffered, direct: await openDirect(path) };
  } catch (error) {
    await closeFile(buffered);
    throw error;
  }
}

async function openDirect(path: string): Promise<number | undefined> {
  try {
    return await openFile(path, constants.O_RDWR | constants.O_DIRECT);
  } catch (error) {
    if (errorCode(error) === "EINVAL") return undefined;
    throw error;
  }
}

async function deviceSize(rdev: number): Promise<number> {
  // As glibc's makedev has it, for numbers below 2^32.
  const major = (rdev >>> 8) & 0xfff;
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  const sectors = await readFile(`/sys/dev/block/${major}:${minor}/size`, "utf8");
  return Number(sectors) * 512; // whatever the disk's own sectors are
}

export async function closeTarget({ buffered, direct }: Target): Promise<void> {
  await closeFile(buffered);
  if (direct !== undefined) await closeFile(direct);
}

export async function syncTarget(target: Target): Promise<void> {
  try {
    await syncFile(target.buffered);
  } catch (error) {
    throw diskError(target, "syncing", undefined, error);
  }
}

/** A global of node's that the types of the language itself do not have. */
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number; shared?: boolean }) => { buffer: ArrayBuffer };
};

/** Memory that begins at the start of a page; JavaScript has no other. `shared`: by all threads. */
export function pageAligned(bytes: number, shared = false): Uint8Array {
  const wasmPage = 64 << 10;
  const pages = Math.ceil(bytes / wasmPage);
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  return new Uint8Array(buffer, 0, bytes);
}

/** `bytes` lie in memory that is aligned to pages. */
export async function writeTarget(target: Target, bytes: Uint8Array, offset: number): Promise<void> {
  try {
    await inParts(target, bytes, offset, writeAll);
  } catch (error) {
    throw diskError(target, "writing", offset, error);
  }
}

/** Fills `bytes`, which lie in memory that is aligned to pages; gives how many there were before the target's end. */
export async function readTarget(target: Target, bytes: Uint8Array, offset: number): Promise<number> {
  try {
    return await inParts(target, bytes, offset, readAll);
  } catch (error) {
    throw diskError(target, "reading", offset, error);
  }
}

type Transfer = (fd: number, bytes: Uint8Array, offset: number) => Promise<number>;

/** What is aligned goes past the page cache; an end that is not, or a start that is not, goes through it. */
async function inParts(
  target: Target,
  bytes: Uint8Array,
  offset: number,
  transfer: Transfer,
): Promise<number> {
  const { direct, buffered } = target;
  const isAligned = offset % alignment === 0 && bytes.byteOffset % alignment === 0;
  const whole = isAligned && direct !== undefined ? bytes.length - (bytes.length % alignment) : 0;
  let done = 0;
  if (whole > 0 && direct !== undefined) done = await transfer(direct, bytes.subarray(0, whole), offset);
  if (done < whole || whole === bytes.length) return done;
  return done + (await transfer(buffered, bytes.subarray(whole), offset + whole));
}

const writeAll: Transfer = async (fd, bytes, offset) => {
  let done = 0;
  while (done < bytes.length) done += await transferOnce(write, fd, bytes.subarray(done), offset + done);
  return done;
};

const readAll: Transfer = async (fd, bytes, offset) => {
  let done = 0;
  while (done < bytes.length) {
    const count = await transferOnce(read, fd, bytes.subarray(done), offset + done);
    if (count === 0) break;
    done += count;
  }
  return done;
};

function transferOnce(
  call: typeof read | typeof write,
  fd: number,
  bytes: Uint8Array,
  offset: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const ended = (error: NodeJS.ErrnoException | null, count: number) =>
      error ? reject(error) : resolve(count);
    (call as typeof write)(fd, bytes, 0, bytes.length, offset, ended);
  });
}

/** Writes zeros where there is no better way. */
export async function writeZeros(
  target: Target,
  offset: number,
  sizeBytes: number,
  signal?: AbortSignal,
): Promise<void> {
  const zeros = pageAligned(Math.min(zeroSlabBytes, sizeBytes));
  for (let done = 0; done < sizeBytes; done += zeros.length) {
    signal?.throwIfAborted();
    await writeTarget(target, zeros.subarray(0, Math.min(zeros.length, sizeBytes - done)), offset + done);
  }
}

function diskError({ path }: Target, doing: string, offset: number | undefined, cause: unknown): Error {
  const where = offset === undefined ? path : `${path} at offset ${offset}`;
  const code = errorCode(cause) ?? "an unknown error";
  const remedy =
    code === "ENOSPC" || code === "EFBIG" || code === "EDQUOT"
      ? "What holds it is full: make room there"
      : "See the kernel's log (dmesg) and `smartctl --all`; replace the disk or plan with another one";
  return new Error(`${doing} ${where} failed with ${code}. ${remedy}, and retry the step.`, { cause });
}
