// What the engine needs from the world outside. Drivers implement it, tests fake it.
import type { ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import type { PowerSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { BootTarget, PowerAction, PowerState } from "../../proto/gen/muster/v1/node_pb.ts";

/** Switches one machine. Throws PowerError with the machine, the cause and the remedy. */
export type PowerDriver = {
  /** Read back from the machine, never assumed. */
  state(): Promise<PowerState>;
  /** Returns what was read back afterwards. */
  set(action: PowerAction): Promise<PowerState>;
  /** What it boots from next, and after that, until told otherwise. */
  setBoot(target: BootTarget): Promise<void>;
};

export type PowerDrivers = (spec: PowerSpec) => PowerDriver;

export class PowerError extends Error {
  override name = "PowerError";
}

/** What the boot server asks when a machine does, and tells when it has seen one. */
export type BootPolicy = {
  /** ramdisk, disk, or ignore for a machine that is not ours. */
  decide(machine: BootingMachine): "ramdisk" | "disk" | "ignore";
};

export type BootingMachine = {
  /** Lower case, with colons. */
  mac: string;
  /** SMBIOS UUID, lower case; empty if it gave none. */
  uuid: string;
  /** iPXE's ${platform}: pcbios or efi. */
  platform: string;
  address: string;
};

/** The bytes of a manifest and their signature. */
export type SignedManifest = { manifest: Uint8Array; signature: Uint8Array };

/** Images by digest, their content by chunk. */
export type ImageReader = {
  /** Undefined if there is no such image. */
  signed(digest: string): Promise<SignedManifest | undefined>;
  manifest(digest: string): Promise<ImageManifest | undefined>;
  /** Of the file with a chunk's stored bytes, by the chunk's name. It may be missing, or damaged. */
  chunkPath(name: string): string;
};
