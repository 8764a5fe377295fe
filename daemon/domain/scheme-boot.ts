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
  const [first] = systemsOf(scheme);
  checkEsps(scheme, first, report);
  for (const index of kernelPlaces(scheme)) {
    const fs = scheme.fss[index];
    const why = fs && unreadable(scheme, fs);
    if (why) report(`fss[${index}].device`, why);
  }
}

/** GRUB is that of the first operating system, and is installed from there. */
function checkEsps({ fss }: SchemeSpec, first: string | undefined, report: Report): void {
  if (first === undefined) return;
  const esps = fss.filter(({ mount }) => mount === "/boot/efi");
  const [esp] = esps;
  if (!esp || esps.some(({ os }) => os.length === 0 || os.includes(first))) return;
  report(
    `fss[${fss.indexOf(esp)}].os`,
    `GRUB comes from ${first}, which must have the ESP too; add \`${first}\``,
  );
}

/** Which of the file systems GRUB reads kernels from: the /boot of each operating system, or else its /. */
function kernelPlaces(scheme: SchemeSpec): Set<number> {
  const systems = systemsOf(scheme);
  const places = (systems.length ? systems : [""]).map((os) => {
    const of = (mount: string) =>
      scheme.fss.findIndex((fs) => fs.mount === mount && (fs.os.length === 0 || fs.os.includes(os)));
    return of("/boot") >= 0 ? of("/boot") : of("/");
  });
  return new Set(places);
}

/** Whether GRUB has to read a kernel from this device or what lies on it. */
export function holdsKernel(scheme: SchemeSpec, device: string): boolean {
  return [...kernelPlaces(scheme)].some((index) =>
    withFoundations(scheme, scheme.fss[index]?.device ?? "").has(device),
  );
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
