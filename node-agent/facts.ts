// What the agent says about itself: where it runs, and, in the installed system, what proves the installation.
import { createSocket } from "node:dgram";
import { readdir, readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Inventory } from "../proto/gen/muster/v1/inventory_pb.ts";
import {
  type Fingerprint,
  FingerprintSchema,
  type InstalledSystem,
  InstalledSystemSchema,
} from "../proto/gen/muster/v1/node_pb.ts";
import type { Runner } from "./runner.ts";

export async function readBootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

export function fingerprintOf(inventory: Inventory): Fingerprint {
  return create(FingerprintSchema, {
    systemUuid: inventory.system?.uuid ?? "",
    systemSerial: inventory.system?.serial ?? "",
    macs: inventory.nics.map((nic) => nic.permanentMac || nic.mac).sort(),
  });
}

/** The machine's own address on the way to `target` (host:port); empty if there is no way. Sends nothing. */
export function localAddress(target: string): Promise<string> {
  const colon = target.lastIndexOf(":");
  const host = target.slice(0, colon).replace(/^\[|\]$/g, "");
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    const answer = (address: string) => {
      socket.close();
      resolve(address);
    };
    socket.on("error", () => answer(""));
    socket.connect(Number(target.slice(colon + 1)), host, () => answer(socket.address().address));
  });
}

export async function readInstalledSystem(run: Runner, identityDir: string): Promise<InstalledSystem> {
  const findRoot = async (column: string) => (await run(["findmnt", "-no", column, "/"])).stdout.trim();
  return create(InstalledSystemSchema, {
    bootId: await readBootId(),
    hostname: hostname(),
    rootDevice: await findRoot("SOURCE").catch(() => ""),
    rootUuid: await findRoot("UUID").catch(() => ""),
    imageDigest: (await readOr(join(identityDir, "image-digest"), "")).trim(),
    arrays: parseMdstat(await readOr("/proc/mdstat", ""), await arrayNames()),
    bootTime: timestampFromMs(parseBootTime(await readOr("/proc/stat", "")) * 1000),
  });
}

/** `names`: md127 → os. One line per array: "os raid1 [2/2] [UU]", and what a resync is doing. */
export function parseMdstat(text: string, names: ReadonlyMap<string, string>): string[] {
  const arrays: string[] = [];
  for (const block of text.split(/\n(?=md)/)) {
    const head = /^(md\S+) : (\S+) (?:\(\S+\) )?(raid\d+|linear)?/.exec(block);
    if (!head) continue;
    const [, device = "", state = "", level] = head;
    const members = /\[\d+\/\d+\] \[[U_]+\]/.exec(block)?.[0];
    const action = /\b(resync|recovery|reshape|check)\s*=\s*(\S+)/.exec(block);
    arrays.push(
      [
        names.get(device) ?? device,
        level ?? state,
        members ?? (level ? state : ""),
        action ? `${action[1]} ${action[2]}` : "",
      ]
        .filter(Boolean)
        .join(" "),
    );
  }
  return arrays;
}

/** Seconds since 1970 at which the kernel started. */
export function parseBootTime(procStat: string): number {
  return Number(/^btime (\d+)$/m.exec(procStat)?.[1] ?? 0);
}

/** udev names arrays by links such as /dev/md/os. */
async function arrayNames(): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const link of await readdir("/dev/md").catch(() => [])) {
    const target = await readlink(join("/dev/md", link)).catch(() => "");
    if (/^md\d+$/.test(basename(target))) names.set(basename(target), link);
  }
  return names;
}

async function readOr(file: string, fallback: string): Promise<string> {
  return readFile(file, "utf8").catch(() => fallback);
}
