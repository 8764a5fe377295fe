// Erasing one disk, and the proof of it: what was really done, how long it took, and what was read back.
//
// METADATA leaves nothing that a kernel, firmware or installer takes for content; the data itself stays on the
// medium. FULL lets the disk erase itself where it says that it can (NVMe sanitize or format, ATA secure erase),
// otherwise discards it where that makes it read as zeros, otherwise overwrites it.
import { basename } from "node:path";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type DiskErasure,
  DiskErasureSchema,
  EraseMode,
  DiskErasure_Proof as Proof,
} from "../../proto/gen/muster/v1/erase_pb.ts";
import { CommandError } from "../runner.ts";
import { discardedToZeroes } from "./discard.ts";
import type { MachineDisk } from "./disks.ts";
import { ataErase } from "./erase-ata.ts";
import type { EraseMethod } from "./erase-method.ts";
import { nvmeErase } from "./erase-nvme.ts";
import { wipeDisk } from "./release.ts";
import { clearEnds, readSamples, type Samples } from "./samples.ts";
import { type StorageContext, settle } from "./wait.ts";

/** A disk that nothing uses any more and that has no signatures. */
type FreedDisk = { disk: MachineDisk; before: Samples };

type Attempt = (disk: MachineDisk, context: StorageContext) => Promise<EraseMethod | undefined>;

/** Overwriting goes on in pieces of this size, so that it can be cancelled. */
const overwriteBytes = 1 << 30;

/** Takes everything off the disk that uses it, and its signatures. The caller has made sure that it may. */
export async function freeForErase(
  disk: MachineDisk,
  mode: EraseMode,
  context: StorageContext,
): Promise<FreedDisk> {
  const before = mode === EraseMode.FULL ? await readSamples(disk.path, disk.sizeBytes) : [];
  await wipeDisk(disk.path, context);
  return { disk, before };
}

/** Erases the disk and reads it back. Does not throw: what went wrong is the erasure's fault. */
export async function eraseFreed(
  { disk, before }: FreedDisk,
  mode: EraseMode,
  context: StorageContext,
): Promise<DiskErasure> {
  const { path, serial, wwn, model, sizeBytes } = disk;
  const known = { name: basename(path), serial, wwn, model, sizeBytes, mode };
  const erasure = create(DiskErasureSchema, known);
  try {
    const start = performance.now();
    const method = mode === EraseMode.FULL ? await eraseFully(disk, context) : await eraseMetadata(disk);
    erasure.method = method.name;
    erasure.erasedBytes = method.bytes ?? sizeBytes;
    erasure.duration = durationFromMs(Math.round(performance.now() - start));
    await requireNoSignature(path, context);
    const where = mode === EraseMode.FULL ? "spread" : "ends";
    Object.assign(erasure, await proofOf(disk, method, before, where));
  } catch (error) {
    erasure.fault = error instanceof Error ? error.message : String(error);
  }
  return erasure;
}

/** Tables and most metadata lie at the ends of a disk, and not all of it has a signature that wipefs knows. */
async function eraseMetadata({ path, sizeBytes }: MachineDisk): Promise<EraseMethod> {
  const bytes = await clearEnds(path, sizeBytes);
  return { name: "signatures and both ends", leaves: "zeros", bytes };
}

async function eraseFully(disk: MachineDisk, context: StorageContext): Promise<EraseMethod> {
  const attempts: Attempt[] = [nvmeErase, ataErase, discard];
  for (const attempt of attempts) {
    try {
      const method = await attempt(disk, context);
      if (method) return method;
    } catch (error) {
      // What a disk says that it can is not always so; what is done instead is read back all the same.
      if (!(error instanceof CommandError) || context.signal.aborted) throw error;
      context.log(`${disk.path}: ${error.message}; going on with another way`);
    }
  }
  return overwrite(disk, context);
}

async function discard({ path }: MachineDisk, context: StorageContext): Promise<EraseMethod | undefined> {
  if (await discardedToZeroes(path, context)) return { name: "discard", leaves: "zeros" };
  context.log(`${path} does not discard to zeros`);
  return undefined;
}

/** The kernel hands this to the disk as one command where the disk has one for it. */
async function overwrite({ path }: MachineDisk, { run, signal }: StorageContext): Promise<EraseMethod> {
  const command = ["blkdiscard", "--force", "--zeroout", "--step", String(overwriteBytes), path] as const;
  await run(command, { signal, timeoutMs: Number.POSITIVE_INFINITY });
  return { name: "overwrite with zeros", leaves: "zeros" };
}

async function requireNoSignature(path: string, context: StorageContext): Promise<void> {
  const { run, signal } = context;
  // A disk that erased itself did so behind the kernel's back, which still has pages of it in memory.
  await run(["blockdev", "--flushbufs", path], { signal });
  // Partition by partition, for kernels that do not read the table anew. Code 1: none was left.
  await run(["partx", "--delete", path], { signal, okCodes: [0, 1] });
  await settle(context);
  const command = ["wipefs", "--no-act", "--noheadings", "--output", "TYPE", path] as const;
  const left = (await run(command, { signal })).stdout.split("\n").filter(Boolean);
  if (left.length === 0) return;
  throw new Error(
    `${path} still shows ${left.join(", ")} after it was erased. Retry; if it stays so, replace the disk.`,
  );
}

/** Reads the disk back. Throws if anything of what must be gone is there. */
export async function proofOf(
  { path, sizeBytes }: MachineDisk,
  { name, leaves }: EraseMethod,
  before: Samples,
  where: "spread" | "ends" = "spread",
): Promise<Pick<DiskErasure, "proof" | "readBytes" | "readPlaces">> {
  const after = await readSamples(path, sizeBytes, where);
  // Noise is right where there was other content; where there were zeros before, nothing can be said.
  const held = new Map(before.filter(({ isZero }) => !isZero).map((old) => [old.position, old.digest]));
  const counted = leaves === "zeros" ? after : after.filter(({ position }) => held.has(position));
  const survivor = counted.find(
    ({ isZero, digest, position }) => !isZero && (leaves === "zeros" || held.get(position) === digest),
  );
  if (survivor) {
    throw new Error(
      `${path} still has its content at byte ${survivor.position} after ${name}. Retry; if it stays so, take the ` +
        "disk out and destroy it.",
    );
  }
  return {
    proof: leaves === "zeros" ? Proof.ZEROS : Proof.CHANGED,
    readBytes: counted.reduce((sum, { bytes }) => sum + BigInt(bytes), 0n),
    readPlaces: counted.length,
  };
}
