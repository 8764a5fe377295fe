// The identifiers that a plan's devices get: partition GUIDs and the UUIDs of arrays, physical volumes, LUKS
// headers and file systems, all derived from the plan and the deployment that carries it out.
//
// They make an applied plan recognisable. What was made by this deployment shows these identifiers, whichever
// attempt made it, so an interrupted apply can be told from a finished one, and a finished one need not be done
// again. What an older deployment made, be it of the very same plan, shows others: a fresh deployment never
// takes an older system for its own. No file on the node has to be remembered for that.
import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { type DiskPlan, DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { StepContext } from "../step.ts";

export type Identifiers = {
  /** For a device by its name in the plan: a UUID of version 8, whose bits are its maker's affair. */
  uuid(device: string): string;
  /** Eight hexadecimal digits: the serial of a FAT file system, the identifier of an msdos label. */
  serial(device: string): string;
  /** As LVM writes it: 32 letters and digits in groups. */
  physicalVolume(device: string): string;
};

export function identifiersOf(
  plan: DiskPlan,
  { step, identity }: Pick<StepContext, "step" | "identity">,
): Identifiers {
  const node = step.slice(0, step.lastIndexOf("/"));
  const seed = createHash("sha256")
    // A daemon's own key, as another daemon may count its deployments from 1 as well.
    .update(`${identity.imageKey}\0${node}\0`)
    .update(toBinary(DiskPlanSchema, plan))
    .digest("hex");
  const digest = (device: string) => createHash("sha256").update(`${seed}\0${device}`).digest();
  return {
    uuid: (device) => formatUuid(digest(device)),
    serial: (device) => digest(device).toString("hex", 0, 4),
    physicalVolume: (device) => formatPhysicalVolume(digest(device)),
  };
}

function formatUuid(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex", 0, 16);
  const groups = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/.exec(hex) ?? [];
  return groups.slice(1).join("-");
}

const lvmAlphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

function formatPhysicalVolume(bytes: Buffer): string {
  const text = [...bytes.subarray(0, 32)].map((byte) => lvmAlphabet[byte % lvmAlphabet.length]).join("");
  const groups = /^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/.exec(text) ?? [];
  return groups.slice(1).join("-");
}

/** UUIDs are written with hyphens, colons or neither, in either case. */
export function sameUuid(a: string, b: string): boolean {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[^0-9a-f]/g, "");
  return a !== "" && plain(a) === plain(b);
}
