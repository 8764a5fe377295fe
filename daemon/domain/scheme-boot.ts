// Whether a machine could boot from what a scheme describes: something for the firmware, and a kernel where GRUB
// can read it.
import type { Fs, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { withFoundations } from "./kept-devices.ts";
import type { Report } from "./scheme-check.ts";
import { systemsOf } from "./scheme-systems.ts";

export function checkBoot(scheme: SchemeSpec, report: Report): void {
  const startable = scheme.parteds.some(
    ({ label, bootloader, partitions }) =>
      bootloader !== "none" &&
      partitions.some(
        ({ flags }) =>
          flags.includes("bios_grub") ||
          flags.includes("esp") ||
          flags.includes("boot") ||
          (label === "msdos" && bootloader === "install"),
      ),
  );
  if (!startable) {
    report(
      "parteds",
      "no machine could boot from this: add a partition with the flag bios_grub (1 MiB), or esp, or both",
    );
  }
  const systems = systemsOf(scheme);
  for (const os of systems.length ? systems : [""]) {
    const of = (mount: string) =>
      scheme.fss.findIndex((fs) => fs.mount === mount && (fs.os.length === 0 || fs.os.includes(os)));
    const index = of("/boot") >= 0 ? of("/boot") : of("/");
    const fs = scheme.fss[index];
    const why = fs && unreadable(scheme, fs);
    if (why) report(`fss[${index}].device`, why);
  }
}

/** Why GRUB cannot read a kernel from there. */
function unreadable(scheme: SchemeSpec, { device, mount }: Fs): string | undefined {
  const remedy = "put /boot on a partition, an md or a linear volume";
  const below = [...withFoundations(scheme, device)];
  if (below.some((ref) => ref.startsWith("luks/")))
    return `GRUB cannot open ${below.find((ref) => ref.startsWith("luks/"))}, where the kernel of ${mount} would be; ${remedy}`;
  const thin = scheme.lvs.find(({ vg, name, type }) => type === "thin" && below.includes(`lv/${vg}/${name}`));
  return thin && `GRUB cannot read a thin volume, where the kernel of ${mount} would be; ${remedy}`;
}
