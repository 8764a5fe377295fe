// Erasing a disk: its metadata, or every sector. What was done and what was then read back goes to the step's log
// line by line, and a summary is returned, as the proof that an operator has to show.
//
// METADATA leaves nothing that a kernel, firmware or installer takes for content; the data itself stays on the
// medium. FULL lets the disk erase itself where it says that it can (NVMe sanitize or format, ATA secure erase),
// otherwise discards it where that makes it read as zeros, otherwise overwrites it.

import { discardedToZeroes } from "./discard.ts";
import type { MachineDisk } from "./disks.ts";
import { ataErase } from "./erase-ata.ts";
import type { EraseMethod } from "./erase-method.ts";
import { nvmeErase } from "./erase-nvme.ts";
import { refuseForeign } from "./foreign.ts";
import { wipeDisk } from "./release.ts";
import { clearEnds, describeSamples, readSamples, type Samples } from "./samples.ts";
import { type StorageContext, settle } from "./wait.ts";

export type EraseMode = "metadata" | "full";

type Attempt = (disk: MachineDisk, context: StorageContext) => Promise<EraseMethod | undefined>;

export type EraseOptions = {
  mode: EraseMode;
  /** Serials or wwns of disks that are left as they are. */
  skip: readonly string[];
  /** Serials or wwns of disks that nobody may erase: if one is asked for, none is erased. */
  protectedDisks: readonly string[];
};

/** Erases disks that share nothing with others; gives a line of proof for each. */
export async function eraseDisks(
  disks: MachineDisk[],
  { mode, skip, protectedDisks }: EraseOptions,
  context: StorageContext,
): Promise<string[]> {
  const chosen = disks.filter((disk) => !isNamed(disk, skip));
  const forbidden = chosen.find((disk) => isNamed(disk, protectedDisks));
  if (forbidden) {
    throw new Error(
      `${describe(forbidden)} is protected; no disk was erased. Take away its protection, or put it on the skip list.`,
    );
  }
  for (const disk of disks)
    if (!chosen.includes(disk)) context.log(`${describe(disk)}: skipped, as it was asked for`);
  await refuseForeign(
    chosen.map(({ path }) => path),
    [],
    context,
  );
  const lines: string[] = [];
  for (const disk of chosen) lines.push(await eraseDisk(disk, mode, context));
  return lines;
}

function isNamed({ serial, wwn }: MachineDisk, marks: readonly string[]): boolean {
  return marks.some((mark) => mark !== "" && (mark === serial || mark === wwn));
}

function describe({ path, serial, wwn }: MachineDisk): string {
  return `${path} (${serial || wwn || "no serial"})`;
}

/** Erases the disk, checks that it is erased, and says so in one line. The caller has made sure that it may. */
export async function eraseDisk(
  disk: MachineDisk,
  mode: EraseMode,
  context: StorageContext,
): Promise<string> {
  const { path } = disk;
  const before = mode === "full" ? await readSamples(path, disk.sizeBytes) : undefined;
  await wipeDisk(path, context);
  const method = mode === "full" ? await eraseFully(disk, context) : await eraseMetadata(disk);
  // Partition by partition, for kernels that do not read the table anew. Code 1: none was left.
  await context.run(["partx", "--delete", path], { signal: context.signal, okCodes: [0, 1] });
  await settle(context);
  await requireNoSignature(path, context);
  const proof = await proveErased(disk, mode, method, before);
  const line = `${describe(disk)}: ${mode} erase by ${method.name}; ${proof}`;
  context.log(`erased: ${line}`);
  return line;
}

/** Tables and most metadata lie at the ends of a disk, and not all of it has a signature that wipefs knows. */
async function eraseMetadata({ path, sizeBytes }: MachineDisk): Promise<EraseMethod> {
  await clearEnds(path, sizeBytes);
  return { name: "removing signatures and clearing both ends", leaves: "zeros" };
}

async function eraseFully(disk: MachineDisk, context: StorageContext): Promise<EraseMethod> {
  const attempts: Attempt[] = [nvmeErase, ataErase, discard];
  for (const attempt of attempts) {
    const method = await attempt(disk, context);
    if (method) return method;
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
  await run(["blkdiscard", "--force", "--zeroout", path], { signal, timeoutMs: Number.POSITIVE_INFINITY });
  return { name: "overwriting with zeros", leaves: "zeros" };
}

async function requireNoSignature(path: string, { run, signal }: StorageContext): Promise<void> {
  const command = ["wipefs", "--no-act", "--noheadings", "--output", "TYPE", path] as const;
  const left = (await run(command, { signal })).stdout.split("\n").filter(Boolean);
  if (left.length === 0) return;
  throw new Error(
    `${path} still shows ${left.join(", ")} after it was erased. Retry; if it stays so, replace the disk.`,
  );
}

async function proveErased(
  disk: MachineDisk,
  mode: EraseMode,
  method: EraseMethod,
  before: Samples | undefined,
): Promise<string> {
  const { path, sizeBytes } = disk;
  const after = await readSamples(path, sizeBytes, mode === "metadata" ? "ends" : "spread");
  const survivor = after.find(({ isZero, digest, position }) => {
    if (isZero) return false;
    if (method.leaves === "zeros") return true;
    // Noise is right where other content was; where zeros were before, nothing is known.
    return before?.some((old) => old.position === position && old.digest === digest && !old.isZero);
  });
  if (survivor) {
    throw new Error(
      `${path} still has its content at byte ${survivor.position} after ${method.name}. Retry; if it stays so, ` +
        "take the disk out and destroy it.",
    );
  }
  return describeSamples(after, sizeBytes, method.leaves);
}
