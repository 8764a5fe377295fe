// What is on a machine's disk, and what each kind of step does to it when it starts and when it succeeds.
import type { StepAction } from "../../proto/gen/muster/v1/step_pb.ts";
import { JournalRecord } from "./journal.ts";
import type { Random } from "./random.ts";

/** What a deployment leaves on the disk, step by step. */
export type Disk = {
  partitioned: boolean;
  imaged: boolean;
  /** The agent's identity as the seed step wrote it. */
  key: string;
  bootloader: boolean;
  journal: JournalRecord;
};

export function emptyDisk(): Disk {
  return { partitioned: false, imaged: false, key: "", bootloader: false, journal: new JournalRecord() };
}

export type Kind = NonNullable<StepAction["kind"]["case"]>;

const durationsMs: Record<string, [number, number]> = {
  partition: [3_000, 40_000],
  image: [10_000, 400_000],
  seed: [1_000, 10_000],
  bootloader: [2_000, 30_000],
  reboot: [100, 1_000],
};

export function durationMs(kind: Kind, random: Random): number {
  const [least, most] = durationsMs[kind] ?? [500, 90_000];
  return random.between(least, most);
}

/** From its first moment, a destructive step has destroyed. Says what is missing for the step, if anything. */
export function begin(kind: Kind, machine: { disk: Disk }): string | undefined {
  const { disk } = machine;
  switch (kind) {
    case "partition":
      machine.disk = emptyDisk();
      return undefined;
    case "image":
      if (!disk.partitioned) return "the disk has no partitions";
      machine.disk = { ...emptyDisk(), partitioned: true };
      return undefined;
    case "seed":
      return disk.imaged ? undefined : "there is no image on the disk";
    case "bootloader":
      return disk.imaged ? undefined : "there is no image on the disk";
    case "reboot":
      return disk.bootloader && disk.key ? undefined : "the disk is not ready to boot";
    default:
      return undefined;
  }
}

export function complete(kind: Kind, machine: { disk: Disk }, key: string): void {
  const { disk } = machine;
  if (kind === "partition") disk.partitioned = true;
  if (kind === "image") disk.imaged = true;
  if (kind === "bootloader") disk.bootloader = true;
  if (kind === "seed") {
    disk.key = key;
    disk.journal = new JournalRecord();
  }
}
