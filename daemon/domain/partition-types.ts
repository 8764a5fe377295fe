// What a partition is for, as its type in a GPT or in an msdos table.
import type { Partition } from "../../proto/gen/muster/v1/manifest_pb.ts";

export type TypeFlag = "bios_grub" | "esp" | "raid" | "lvm" | "swap" | "luks";
export type Label = "gpt" | "msdos";

type Codes = { gpt: string; msdos: string; guid: string; title: string };

const types: Record<TypeFlag | "data" | "extended", Codes> = {
  bios_grub: { gpt: "ef02", msdos: "", guid: "21686148-6449-6e6f-744e-656564454649", title: "BIOS boot" },
  esp: { gpt: "ef00", msdos: "ef", guid: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", title: "EFI system" },
  raid: { gpt: "fd00", msdos: "fd", guid: "a19d880f-05fc-4d3b-a006-743f0f84911e", title: "RAID" },
  lvm: { gpt: "8e00", msdos: "8e", guid: "e6d6d379-f507-44c2-a23c-238f2a3df928", title: "LVM" },
  swap: { gpt: "8200", msdos: "82", guid: "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", title: "swap" },
  luks: { gpt: "8309", msdos: "e8", guid: "ca7d7ccb-63ed-4c53-861c-1742536059cc", title: "LUKS" },
  data: { gpt: "8300", msdos: "83", guid: "0fc63daf-8483-4772-8e79-3d69d8477de4", title: "Linux" },
  extended: { gpt: "", msdos: "5", guid: "", title: "extended" },
};

const typeFlags: TypeFlag[] = ["bios_grub", "esp", "raid", "lvm", "swap", "luks"];

/** The type that the flags give; with several, the first. On GPT `boot` is parted's word for an ESP. */
export function typeFlagsOf({ flags }: Partition, label: Label): TypeFlag[] {
  const own = typeFlags.filter((flag) => flags.includes(flag));
  return label === "gpt" && flags.includes("boot") && !own.includes("esp") ? ["esp", ...own] : own;
}

export function typeCode(flag: TypeFlag | "data" | "extended", label: Label): string {
  return types[flag][label];
}

/** Whether a type that was found on a disk is the one of a plan, however each is written. */
export function sameType(code: string, found: string): boolean {
  return normal(code) === normal(found);
}

/** In an msdos table: by CHS, by LBA, or as Linux calls it. */
export function isExtended(found: string): boolean {
  return ["5", "f", "85"].includes(normal(found));
}

/** For people: "RAID (fd00)". */
export function describeType(code: string): string {
  const known = Object.values(types).find(({ msdos, guid }) => [msdos, guid].includes(normal(code)));
  return known ? `${known.title} (${code})` : code;
}

// A GPT type as its GUID, an msdos type as two digits.
function normal(code: string): string {
  const lower = code.toLowerCase().replace(/^0x/, "");
  const known = Object.values(types).find(({ gpt }) => gpt !== "" && gpt === lower);
  return known?.guid ?? lower;
}
