// What the tests of the converters share: a conversion, its faults, and what it comes to on two disks.
import type { DiskPlan } from "../../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { SchemeSpec } from "../../../proto/gen/muster/v1/manifest_pb.ts";
import { planDisks } from "../disk-plan.ts";
import { disk, machine } from "../scheme-fixture.ts";
import { gib, mib } from "../size.ts";
import { convertScheme, knownConverters } from "./registry.ts";

export function converted(from: string, data: unknown): SchemeSpec {
  const conversion = convertScheme(knownConverters(), from, data, "from-there");
  if (!conversion.ok) throw new Error(JSON.stringify(conversion.faults, undefined, 1));
  return conversion.scheme;
}

export function faults(from: string, data: unknown): string[] {
  const conversion = convertScheme(knownConverters(), from, data, "from-there");
  return conversion.ok ? [] : conversion.faults.map(({ path, message }) => `${path}: ${message}`);
}

/** What the scheme comes to on two disks of 64 GiB. */
export function planned(scheme: SchemeSpec): DiskPlan {
  const disks = ["sda", "sdb"].map((name) =>
    disk(name, { sizeBytes: 64n * gib, byId: [`ata-DISK_${name}`], serial: `disk-${name}` }),
  );
  const result = planDisks(scheme, machine(...disks), { protectedDisks: [] });
  if (!result.ok) throw new Error(result.faults.map(({ message }) => message).join("\n"));
  return result.plan;
}

/** Of each disk its name and its partitions: number, start and size in MiB, type. */
export function places(scheme: SchemeSpec): string[][] {
  return planned(scheme).disks.map(({ lastName, partitions }) => [
    lastName,
    ...partitions.map(
      (part) => `${part.number} ${part.firstLba / 2048n}+${part.sizeBytes / mib} ${part.typeCode}`,
    ),
  ]);
}
