// Loop devices that play a machine's disks, and a step context for them. Everything made here is undone by
// `dispose`, also after a failed test.
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { noFiles } from "../../node-agent/no-files.ts";
import { createRunner, type LogSink, type Runner } from "../../node-agent/runner.ts";
import type { ImageSource, StepContext, StepReport } from "../../node-agent/step.ts";
import type { StorageOptions } from "../../node-agent/storage/activate.ts";
import type { MachineDisk } from "../../node-agent/storage/disks.ts";
import { unmountAll } from "../../node-agent/storage/mounts.ts";
import { freeDisks } from "../../node-agent/storage/release.ts";
import {
  type PlannedDisk,
  PlannedDiskSchema,
  type PlannedPartition,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { DiskErasure } from "../../proto/gen/muster/v1/erase_pb.ts";
import { StepInputsSchema } from "../../proto/gen/muster/v1/step_pb.ts";

export type PartitionSketch = Pick<PlannedPartition, "name" | "firstLba" | "lastLba" | "typeCode">;

export class LoopMachine {
  readonly log: string[] = [];
  readonly reports: Partial<StepReport>[] = [];
  readonly erasures: DiskErasure[] = [];
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

  /** A disk of this serial; the machine has it from now on. With the content of a file, if one is given. */
  async addDisk(serial: string, sizeBytes: number, from?: string, sectorBytes = 512): Promise<string> {
    const file = this.fileOf(serial, this.disks.length);
    if (from) await this.run(["cp", "--sparse=always", from, file]);
    else await writeFile(file, "");
    await truncate(file, sizeBytes);
    const { stdout } = await this.run([
      "losetup",
      "--find",
      "--show",
      "--sector-size",
      String(sectorBytes),
      file,
    ]);
    const path = stdout.trim();
    const marks = { serial, wwn: "", model: "loop", sectorBytes };
    this.disks.push({ path, sizeBytes: BigInt(sizeBytes), ...marks });
    return path;
  }

  get options(): StorageOptions {
    return {
      findDisks: async () => this.disks,
      mountPoint: join(this.directory, "root"),
    };
  }

  context(changes: Partial<StepContext> = {}): StepContext {
    return {
      ...loopContext(this.run, (line) => this.log.push(line)),
      progress: (report) => this.reports.push(report),
      erased: (erasure) => this.erasures.push(erasure),
      ...changes,
    };
  }

  /** Where a disk has its content: disks are counted from 0 in the order in which they came. */
  fileOf(serial: string, index: number): string {
    return join(this.directory, `${serial}-${index}.img`);
  }

  /** Stops everything that lies on the disks, so that their files hold all of it. */
  private async release(): Promise<void> {
    await unmountAll(this.directory, this.context());
    const paths = this.disks.map(({ path }) => path);
    if (paths.length > 0) await freeDisks(paths, this.context());
    await this.run(["sync"]);
  }

  /** Takes the disks away; their files stay. */
  async detach(): Promise<void> {
    await this.release();
    for (const { path } of this.disks.splice(0)) {
      await this.run(["partx", "--delete", path], { okCodes: [0, 1] });
      await this.run(["losetup", "--detach", path]);
    }
  }

  async dispose(): Promise<void> {
    await this.detach();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** The context of a first attempt. */
export function loopContext(run: Runner, log: LogSink): StepContext {
  return {
    run,
    log,
    progress: () => {},
    erased: () => {},
    signal: new AbortController().signal,
    step: "demo-1/n1/partition",
    attempt: 1,
    images: noImages,
    secrets: async (name) => Buffer.from(`the key called ${name}`),
    identity: { node: "n1", joinBundle: "{}", imageKey: "", privateKey: "key\n", certificate: "cert\n" },
    files: noFiles,
    check: false,
    inputs: create(StepInputsSchema),
    values: {},
    secretValues: async () => ({}),
  };
}

const noImages: ImageSource = {
  locate: () => Promise.reject(new Error("this test has no image")),
  report: () => Promise.reject(new Error("this test has no image")),
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
