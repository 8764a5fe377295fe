// Erasing disks. Everything that speaks against it is looked for before any disk is touched. Then each is freed and
// loses its signatures, so that an interrupted erase leaves nothing that boots, and is erased and read back.
import {
  type DiskErasure,
  EraseMode,
  DiskErasure_Proof as Proof,
} from "../../proto/gen/muster/v1/erase_pb.ts";
import { isMarked } from "../../proto/plan/disk-mark.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import type { StepContext } from "../step.ts";
import { blockTrees, topDown } from "./block-tree.ts";
import type { MachineDisk } from "./disks.ts";
import { eraseFreed, freeForErase } from "./erase-disk.ts";
import { refuseForeign } from "./foreign.ts";
import type { StorageContext } from "./wait.ts";

export type EraseOptions = {
  mode: EraseMode;
  /** Serials or wwns of disks that are left as they are. */
  skip: readonly string[];
  /** Serials or wwns of disks that nobody may erase: if one is asked for, none is erased. */
  protectedDisks: readonly string[];
  /** Every disk of the machine. */
  machine: readonly MachineDisk[];
};

export type EraseContext = StorageContext & Pick<StepContext, "erased" | "progress">;

/** Erases the disks that are not skipped. Throws if one does not read back as erased; the others are finished. */
export async function eraseDisks(
  disks: readonly MachineDisk[],
  options: EraseOptions,
  context: EraseContext,
): Promise<DiskErasure[]> {
  const { mode } = options;
  const chosen = await chooseDisks(disks, options, context);
  context.progress({ activity: `erasing ${chosen.map(({ path }) => path).join(", ")}` });
  // One after the other: what lies on one disk may lie on the next as well.
  const freed = [];
  for (const disk of chosen) freed.push(await freeForErase(disk, mode, context));
  // All at once: each takes as long as its own medium needs, which may be days.
  const totalBytes = chosen.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n);
  let currentBytes = 0n;
  const erasures = await Promise.all(
    freed.map(async (one) => {
      const erasure = await eraseFreed(one, mode, context);
      context.log(erasure.fault || `erased: ${describeErasure(erasure)}`);
      context.erased(erasure);
      currentBytes += erasure.sizeBytes;
      context.progress({ currentBytes, totalBytes });
      return erasure;
    }),
  );
  const faults = erasures.flatMap(({ fault }) => fault || []);
  if (faults.length) throw new Error(faults.join("; "));
  return erasures;
}

/** Those that are not skipped; throws if any of them may not be erased. */
async function chooseDisks(
  disks: readonly MachineDisk[],
  { skip, protectedDisks, machine }: EraseOptions,
  context: StorageContext,
): Promise<MachineDisk[]> {
  const chosen = disks.filter((disk) => !isMarked(disk, skip));
  for (const disk of machine)
    if (isMarked(disk, skip)) context.log(`${describe(disk)}: skipped, as it was asked for`);
  if (chosen.length === 0) throw new Error("all disks are on the skip list: there is nothing to erase.");
  const forbidden = chosen.find((disk) => isMarked(disk, protectedDisks));
  if (forbidden) {
    throw new Error(
      `${describe(forbidden)} is protected; no disk was erased. Take away its protection, or put it on the skip list.`,
    );
  }
  await refuseShared(chosen, machine, context);
  await refuseForeign(
    chosen.map(({ path }) => path),
    [],
    context,
  );
  return chosen;
}

/** A disk that is reached in more than one way may be in use where this machine cannot see it. */
async function refuseShared(
  chosen: MachineDisk[],
  machine: readonly MachineDisk[],
  context: StorageContext,
): Promise<void> {
  for (const disk of chosen) {
    const twin = machine.find((other) => other.path !== disk.path && isSameMedium(disk, other));
    if (twin) refuse(disk, `is the same disk as ${twin.path}, by another path`);
  }
  const trees = await blockTrees(
    chosen.map(({ path }) => path),
    context,
  );
  for (const tree of trees) {
    const map = topDown([tree]).find(({ type }) => type === "mpath");
    const disk = chosen.find(({ path }) => path === tree.path);
    if (map && disk) refuse(disk, `is a path of the multipath disk ${map.path}`);
  }
}

function refuse(disk: MachineDisk, why: string): never {
  throw new Error(
    `${describe(disk)} ${why}: it may be shared with other machines, and shared disks are never erased. No disk ` +
      "was erased. Put it on the skip list, or take it away from this machine.",
  );
}

function isSameMedium(one: MachineDisk, other: MachineDisk): boolean {
  if (one.wwn && other.wwn) return one.wwn === other.wwn;
  return one.serial !== "" && one.serial === other.serial && one.sizeBytes === other.sizeBytes;
}

function describe({ path, serial, wwn }: MachineDisk): string {
  return `${path} (${serial || wwn || "no serial"})`;
}

/** "sda (E1): full erase by discard in 0.2 s; all 48 MiB read back as zeros" */
export function describeErasure(erasure: DiskErasure): string {
  const { name, serial, wwn, mode, method, duration } = erasure;
  const seconds = Number(duration?.seconds ?? 0n) + (duration?.nanos ?? 0) / 1e9;
  const what = `${mode === EraseMode.FULL ? "full" : "metadata"} erase by ${method} in ${seconds.toFixed(1)} s`;
  return `${name} (${serial || wwn}): ${what}; ${describeProof(erasure)}`;
}

function describeProof({ proof, readBytes, readPlaces, sizeBytes }: DiskErasure): string {
  if (proof === Proof.CHANGED && readPlaces === 0) return "it held nothing before that could be compared";
  const part =
    readBytes >= sizeBytes
      ? `all ${formatBytes(sizeBytes)}`
      : `${formatBytes(readBytes)} in ${readPlaces} places, both ends among them,`;
  return proof === Proof.CHANGED ? `${part} no longer what they were` : `${part} read back as zeros`;
}
