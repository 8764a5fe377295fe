// Whether what keeps its data can be kept: what lies on it must be kept too.
import type { SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { keptRefs } from "./kept-devices.ts";
import type { Report } from "./scheme-check.ts";
import { partitionOfRef, usesOf } from "./scheme-devices.ts";

export function checkKeeps(scheme: SchemeSpec, report: Report): void {
  const kept = keptRefs(scheme);
  if (kept.size === 0) return;
  const plain = (ref: string) => (partitionOfRef(ref) ? `partition/${partitionOfRef(ref)}` : ref);
  const isKept = (ref: string) => kept.has(ref) || kept.has(plain(ref));
  for (const { path, device, owner, user, fs } of usesOf(scheme)) {
    const userKept = fs ? fs.keepData : user !== undefined && isKept(user);
    if (isKept(device) && !userKept) {
      const field = path.replace(/\.(?:device|devices\[\d+\]|spares\[\d+\])$/, ".keep_data");
      report(
        field,
        `\`${device}\` keeps its data, but ${owner} would be made anew on it; set keep_data here too`,
      );
    }
  }
  scheme.parteds.forEach(({ partitions }, i) => {
    partitions.forEach(({ flags, keepData }, j) => {
      if (keepData && flags.includes("bios_grub"))
        report(
          `parteds[${i}].partitions[${j}].keep_data`,
          "GRUB writes its partition anew; remove keep_data",
        );
    });
  });
}
