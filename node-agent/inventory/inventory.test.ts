import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseLsblk } from "../../proto/inventory/lsblk.ts";
import { createRunner } from "../runner.ts";
import { collectInventory, parseMeminfo } from "./collect.ts";
import { parseDmidecode } from "./dmidecode.ts";
import { type NicDevice, parseIpAddr, parsePermanentMac, pciAddressOf } from "./ip.ts";
import { parseLscpu } from "./lscpu.ts";
import { parseLshwDisks } from "./lshw.ts";

const fixture = (name: string) => readFileSync(join(import.meta.dirname, "fixtures", name), "utf8");
const noExtras = { byId: new Map(), byPath: new Map(), serials: new Map() };

describe("lsblk", () => {
  it("lists the disks of a captured virtual machine, and loop devices only on request", () => {
    const text = fixture("lsblk-virtio-root-and-loop.json");
    const disks = parseLsblk(text, noExtras);
    expect(disks).toMatchObject([
      { name: "vda", tran: "virtio", sizeBytes: 274877906944n, bootMedium: true, serial: "" },
    ]);
    const [loop] = parseLsblk(text, noExtras, true);
    expect(loop?.contents.map(({ name, type, parent }) => [name, type, parent])).toEqual([
      ["loop0p1", "part", "loop0"],
      ["loop0p2", "part", "loop0"],
    ]);
  });

  it("takes what udev does not know from sysfs and /dev/disk", () => {
    const extras = {
      serials: new Map([["vda", "N1A"]]),
      byId: new Map([["vda", ["virtio-N1A"]]]),
      byPath: new Map([["vda", ["virtio-pci-0000:00:03.0", "pci-0000:00:03.0"]]]),
    };
    const [vda, vdb] = parseLsblk(fixture("lsblk-deployed-node.json"), extras);
    expect(vda).toMatchObject({ serial: "N1A", byId: ["virtio-N1A"] });
    expect(vda?.byPath).toContain("pci-0000:00:03.0");
    expect(vdb).toMatchObject({ name: "vdb", serial: "", byId: [] });
  });

  it("shows what is on a disk down through its array and volumes", () => {
    const [vda, vdb, sda, ...rest] = parseLsblk(fixture("lsblk-deployed-node.json"), noExtras);
    expect(rest).toEqual([]); // neither the DVD drive nor nbd nor ram
    expect(vda?.contents.map(({ name, type, fsType, parent }) => [name, type, fsType, parent])).toEqual([
      ["vda1", "part", "", "vda"],
      ["vda2", "part", "vfat", "vda"],
      ["vda3", "part", "linux_raid_member", "vda"],
      ["md127", "raid1", "LVM2_member", "vda3"],
      ["vg0-root", "lvm", "ext4", "md127"],
      ["vg0-swap", "lvm", "swap", "md127"],
    ]);
    expect([vda, vdb, sda].map((disk) => disk?.bootMedium)).toEqual([true, true, false]);
    expect(sda).toMatchObject({
      model: "INTEL SSDSC2KB48",
      vendor: "ATA",
      hctl: "0:0:0:0",
      wwn: "0x55cd2e4150000001",
      physicalSectorBytes: 4096,
      contents: [{ name: "sda", type: "disk", fsType: "xfs", label: "scratch", parent: "" }],
    });
  });
});

describe("ip", () => {
  const device: NicDevice = {
    driver: "virtio_net",
    speedMbps: 0,
    link: true,
    pciAddress: "0000:00:03.0",
    permanentMac: "",
  };

  it("lists the interfaces that have hardware, without link-local addresses", () => {
    const nics = parseIpAddr(fixture("ip-addr.json"), new Map([["eth0", device]]));
    expect(nics).toMatchObject([
      {
        name: "eth0",
        mac: "02:fc:00:00:00:01",
        permanentMac: "02:fc:00:00:00:01",
        driver: "virtio_net",
        link: true,
        addresses: ["192.0.2.2/24", "fd00::2/64"],
      },
    ]);
  });

  it("prefers the permanent MAC to the one in use", () => {
    const [nic] = parseIpAddr(
      fixture("ip-addr.json"),
      new Map([["eth0", { ...device, permanentMac: "52:54:00:12:34:56" }]]),
    );
    expect(nic?.permanentMac).toBe("52:54:00:12:34:56");
    expect(parsePermanentMac("Permanent address: 52:54:00:AA:34:56\n")).toBe("52:54:00:aa:34:56");
    expect(parsePermanentMac("Permanent address: not set\n")).toBe("");
  });

  it("finds the PCI function of a device behind bridges", () => {
    expect(pciAddressOf("/sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0/virtio2")).toBe("0000:01:00.0");
    expect(pciAddressOf("/sys/devices/platform/soc/eth")).toBe("");
  });
});

describe("dmidecode", () => {
  it("reads the tables of a QEMU machine", () => {
    expect(parseDmidecode(fixture("dmidecode-qemu.txt"))).toMatchObject({
      system: {
        uuid: "6d757374-6572-4000-8000-525400770001",
        manufacturer: "Muster",
        product: "rack",
        serial: "RACK-N1",
      },
      dimms: [{ locator: "DIMM 0", sizeBytes: 1n << 30n, type: "RAM" }],
      biosVendor: "SeaBIOS",
      biosVersion: "1.16.2-debian-1.16.2-1",
    });
  });

  it("leaves empty what the manufacturer left open, and counts no empty slots", () => {
    const text = [
      "Handle 0x0001, DMI type 1, 27 bytes\nSystem Information",
      "\tManufacturer: To Be Filled By O.E.M.\n\tSerial Number: Not Specified\n\tUUID: 03000200-0400-0500-0006-000700080009\n",
      "Handle 0x0002, DMI type 17, 40 bytes\nMemory Device\n\tSize: No Module Installed\n\tLocator: A2\n",
    ].join("\n");
    const facts = parseDmidecode(text);
    expect(facts.system).toMatchObject({ manufacturer: "", serial: "" });
    expect(facts.dimms).toEqual([]);
  });
});

describe("the other tools", () => {
  it("counts processors by lscpu", () => {
    expect(parseLscpu(fixture("lscpu.json"))).toMatchObject({
      model: "AMD EPYC",
      architecture: "x86_64",
      threads: 2,
      sockets: 1,
    });
  });

  it("finds disks in lshw, also below a root object as older versions print it", () => {
    expect(parseLshwDisks(fixture("lshw-disk.json")).get("vda")).toEqual({
      vendor: "",
      model: "",
      serial: "",
    });
    const nested = {
      class: "system",
      children: [{ class: "disk", logicalname: "/dev/sda", product: "SSD", serial: "S1" }],
    };
    expect(parseLshwDisks(JSON.stringify(nested)).get("sda")).toMatchObject({ model: "SSD", serial: "S1" });
  });

  it("reads the memory's size in bytes", () => {
    expect(parseMeminfo("MemTotal:        2014520 kB\nMemFree: 1 kB\n")).toBe(2014520n * 1024n);
    expect(parseMeminfo("")).toBe(0n);
  });

  it("reports this machine even if every tool but lsblk is missing", async () => {
    const run = createRunner(() => {});
    const messages: string[] = [];
    const inventory = await collectInventory(
      async (argv, options) => {
        if (argv[0] === "lsblk") return { code: 0, stdout: fixture("lsblk-deployed-node.json"), stderr: "" };
        return run(["false"], options);
      },
      { includeLoop: false, print: (line) => messages.push(line) },
    );
    expect(inventory.disks.map(({ name }) => name)).toEqual(["vda", "vdb", "sda"]);
    expect(inventory.memoryBytes).toBeGreaterThan(0n);
    expect(messages.some((line) => line.startsWith("the inventory lacks processors: "))).toBe(true);
  });
});
