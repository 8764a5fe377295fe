// Loop devices that play a machine's disks, and a step context for them. Everything made here is undone by
// `dispose`, also after a failed test.
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { createRunner } from "../../node-agent/runner.ts";
import type { ImageSource, StepContext, StepReport } from "../../node-agent/step.ts";
import type { StorageOptions } from "../../node-agent/storage/activate.ts";
import type { MachineDisk } from "../../node-agent/storage/disks.ts";
import { unmountAll } from "../../node-agent/storage/mounts.ts";
import {
  type PlannedDisk,
  PlannedDiskSchema,
  type PlannedPartition,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";

export type PartitionSketch = Pick<PlannedPartition, "name" | "firstLba" | "lastLba" | "typeCode">;

export class LoopMachine {
  readonly log: string[] = [];
  readonly reports: Partial<StepReport>[] = [];
  readonly disks: MachineDisk[] = [];
  readonly directory: string;
  readonly run = createRunner((line) => this.log.push(line));

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<LoopMachine> {
    if (process.getuid?.() !== 0) throw new Error("the agent tests make loop devices: run them as root");
    return new LoopMachine(await mkdtemp(join(tmpdir(), "muster-agent-")));
  }

  /** A disk of this serial; the machine has it from now on. */
  async addDisk(serial: string, sizeBytes: number): Promise<string> {
    const file = join(this.directory, `${serial}-${this.disks.length}.img`);
    await writeFile(file, "");
    await truncate(file, sizeBytes);
    const { stdout } = await this.run(["losetup", "--find", "--show", file]);
    const path = stdout.trim();
    const marks = { serial, wwn: "", model: "loop", sectorBytes: 512 };
    this.disks.push({ path, sizeBytes: BigInt(sizeBytes), ...marks });
    return path;
  }

  get options(): StorageOptions {
    return { findDisks: async () => this.disks, mountPoint: join(this.directory, "root") };
  }

  context(changes: Partial<StepContext> = {}): StepContext {
    return {
      run: this.run,
      log: (line) => this.log.push(line),
      progress: (report) => this.reports.push(report),
      signal: new AbortController().signal,
      attempt: 1,
      images: noImages,
      identity: { node: "n1", joinBundle: "{}", imageKey: "", privateKey: "key\n", certificate: "cert\n" },
      ...changes,
    };
  }

  async dispose(): Promise<void> {
    await unmountAll(this.directory, this.context());
    for (const { path } of this.disks) {
      await this.run(["partx", "--delete", path], { okCodes: [0, 1] });
      await this.run(["losetup", "--detach", path]);
    }
    await rm(this.directory, { recursive: true, force: true });
  }
}

const noImages: ImageSource = {
  manifest: () => Promise.reject(new Error("this test has no image")),
  chunks: () => {
    throw new Error("this test has no image");
  },
};

/** The disk of a plan with this serial, `selector/index` being os/INDEX. */
export function plannedDisk(
  serial: string,
  sizeBytes: number,
  partitions: PartitionSketch[],
  index = 0,
): PlannedDisk {
  return create(PlannedDiskSchema, {
    selector: "os",
    index,
    serial,
    sizeBytes: BigInt(sizeBytes),
    logicalSectorBytes: 512,
    partitions: partitions.map((partition, at) => ({
      ...partition,
      number: at + 1,
      sizeBytes: (partition.lastLba - partition.firstLba + 1n) * 512n,
    })),
  });
}

/** What sysfs says of a partition, in sectors of 512 bytes. */
export function sysfsPath(device: string, attribute: string): string {
  return `/sys/class/block/${basename(device)}/${attribute}`;
}
