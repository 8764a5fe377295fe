// The names of a scheme's devices in a plan: a partition of the scheme is one on every disk of its selector.
import type { Partition, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { ChosenDisk } from "./disk-choice.ts";

export type Instance = { name: string; chosen: ChosenDisk; partition: Partition };

/** Every partition on every disk, and the plan's names of a device that the scheme refers to. */
export class DeviceNames {
  readonly instances: Instance[];
  readonly #byRef = new Map<string, string[]>();

  constructor(scheme: SchemeSpec, disks: ChosenDisk[]) {
    const partitions = new Map(scheme.parteds.map((parted) => [parted.disks, parted.partitions]));
    this.instances = disks.flatMap((chosen) =>
      (partitions.get(chosen.selector) ?? []).map((partition) => ({
        name: instanceName(chosen, partition.name),
        chosen,
        partition,
      })),
    );
    for (const { name, chosen, partition } of this.instances) {
      const ref = `partition/${partition.name}`;
      const all = this.#byRef.get(ref);
      if (all) all.push(name);
      else this.#byRef.set(ref, [name]);
      this.#byRef.set(`${ref}/${chosen.index}`, [name]);
    }
  }

  /** `partition/NAME` is that partition on every disk; every other device is called the same in the plan. */
  expand(ref: string): string[] {
    return this.#byRef.get(ref) ?? (ref.startsWith("partition/") ? [] : [ref]);
  }
}

export function instanceName(
  { selector, index }: { selector: string; index: number },
  partition: string,
): string {
  return `partition/${selector}/${index}/${partition}`;
}
