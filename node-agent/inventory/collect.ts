// Asks the tools and sysfs, and puts the hardware report together. What a tool does not say is left empty;
// only without the list of disks there is no report.
import { access, readdir, readFile, readlink, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  CpuSchema,
  type Disk,
  Firmware_Mode,
  type Inventory,
  InventorySchema,
  SystemSchema,
} from "../../proto/gen/muster/v1/inventory_pb.ts";
import { parseLsblk } from "../../proto/inventory/lsblk.ts";
import type { Print } from "../console.ts";
import type { Runner } from "../runner.ts";
import { parseDmidecode } from "./dmidecode.ts";
import { type NicDevice, parseIpAddr, parsePermanentMac, pciAddressOf } from "./ip.ts";
import { parseLscpu } from "./lscpu.ts";
import { parseLshwDisks } from "./lshw.ts";

export type CollectOptions = { includeLoop: boolean; print: Print };

/** No tool may hold up the machine's joining. */
const toolTimeoutMs = 60_000;

export async function collectInventory(
  run: Runner,
  { includeLoop, print }: CollectOptions,
): Promise<Inventory> {
  const ask = async (...argv: [string, ...string[]]) =>
    (await run(argv, { timeoutMs: toolTimeoutMs, env: { LC_ALL: "C.UTF-8" } })).stdout;
  const orNothing = <T>(what: string, answer: Promise<T>): Promise<T | undefined> =>
    answer.catch((error: Error) => {
      print(`the inventory lacks ${what}: ${error.message}`);
      return undefined;
    });
  const [disks, nics, dmi, cpu, firmware] = await Promise.all([
    collectDisks(ask, includeLoop),
    orNothing("network interfaces", collectNics(ask)),
    // Kernels without the tables are common in containers: the smaller record of sysfs follows.
    ask("dmidecode", "-t", "0", "-t", "1", "-t", "17").then(parseDmidecode, () => undefined),
    orNothing("processors", ask("lscpu", "-J").then(parseLscpu)),
    collectFirmware(),
  ]);
  const dimms = dmi?.dimms ?? [];
  const dimmBytes = dimms.reduce((sum, dimm) => sum + dimm.sizeBytes, 0n);
  return create(InventorySchema, {
    system: dmi?.system.uuid ? dmi.system : await systemOfSysfs(),
    cpu: cpu ?? create(CpuSchema),
    memoryBytes: dimmBytes || parseMeminfo(await readOr("/proc/meminfo")),
    dimms,
    disks,
    nics: nics ?? [],
    firmware: {
      ...firmware,
      vendor: dmi?.biosVendor || (await readOr("/sys/class/dmi/id/bios_vendor")),
      version: dmi?.biosVersion || (await readOr("/sys/class/dmi/id/bios_version")),
    },
  });
}

type Ask = (...argv: [string, ...string[]]) => Promise<string>;

async function collectDisks(ask: Ask, includeLoop: boolean): Promise<Disk[]> {
  const text = await ask("lsblk", "-J", "-O", "-b");
  const serials = new Map<string, string>();
  for (const name of await readdir("/sys/block").catch(() => [])) {
    const serial =
      (await readOr(`/sys/block/${name}/serial`)) || (await readOr(`/sys/block/${name}/device/serial`));
    if (serial) serials.set(name, serial);
  }
  const byId = await linksBelow("/dev/disk/by-id");
  const byPath = await linksBelow("/dev/disk/by-path");
  const disks = parseLsblk(text, { byId, byPath, serials }, includeLoop);
  if (disks.every(({ model, serial }) => model && serial)) return disks;
  // Not every ramdisk has lshw, and it only fills gaps.
  const more = await ask("lshw", "-json", "-quiet", "-class", "disk").then(parseLshwDisks, () => new Map());
  for (const disk of disks) {
    disk.vendor ||= more.get(disk.name)?.vendor ?? "";
    disk.model ||= more.get(disk.name)?.model ?? "";
    disk.serial ||= more.get(disk.name)?.serial ?? "";
  }
  return disks;
}

async function collectNics(ask: Ask) {
  const devices = new Map<string, NicDevice>();
  for (const name of await readdir("/sys/class/net")) {
    const dir = join("/sys/class/net", name);
    const device = await realpath(join(dir, "device")).catch(() => "");
    if (!device) continue;
    const speed = Number(await readOr(join(dir, "speed")));
    devices.set(name, {
      driver: basename(await readlink(join(dir, "device/driver")).catch(() => "")),
      speedMbps: Math.max(speed, 0),
      link: (await readOr(join(dir, "carrier"))) === "1",
      pciAddress: pciAddressOf(device),
      permanentMac: await ask("ethtool", "-P", name).then(parsePermanentMac, () => ""),
    });
  }
  return parseIpAddr(await ask("ip", "-j", "-d", "addr"), devices);
}

async function collectFirmware() {
  const isUefi = await access("/sys/firmware/efi").then(
    () => true,
    () => false,
  );
  const variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
  // Four bytes of attributes, then the value.
  const secureBoot = isUefi && (await readFile(variable).catch(() => undefined))?.[4] === 1;
  return { mode: isUefi ? Firmware_Mode.UEFI : Firmware_Mode.BIOS, secureBoot };
}

async function systemOfSysfs() {
  const read = (name: string) => readOr(`/sys/class/dmi/id/${name}`);
  return create(SystemSchema, {
    uuid: (await read("product_uuid")).toLowerCase(),
    manufacturer: await read("sys_vendor"),
    product: await read("product_name"),
    serial: await read("product_serial"),
  });
}

/** Kernel name of a disk → the links to it. */
async function linksBelow(dir: string): Promise<Map<string, string[]>> {
  const links = new Map<string, string[]>();
  for (const name of (await readdir(dir).catch(() => [])).sort()) {
    const target = basename(await readlink(join(dir, name)).catch(() => ""));
    links.set(target, [...(links.get(target) ?? []), name]);
  }
  return links;
}

/** Bytes of "MemTotal: 2014520 kB". */
export function parseMeminfo(text: string): bigint {
  return BigInt(/^MemTotal:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024n;
}

async function readOr(file: string): Promise<string> {
  return (await readFile(file, "utf8").catch(() => "")).trim();
}
