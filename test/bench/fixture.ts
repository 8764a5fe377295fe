// The machines of the bench and what they are to become.
import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { writeBuiltImage } from "../../daemon/drivers/image-fixture.ts";
import { Firmware_Mode, type Inventory, InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { Fingerprint } from "../../proto/gen/muster/v1/node_pb.ts";
import { FingerprintSchema } from "../../proto/gen/muster/v1/node_pb.ts";

export const clusterName = "bench";

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
const macOf = (index: number, nic: number) =>
  `52:54:${hex(nic, 2)}:${hex(index >> 16, 2)}:${hex((index >> 8) & 255, 2)}:${hex(index & 255, 2)}`;

export const addressOf = (index: number) => `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;

export function fingerprintOf(index: number): Fingerprint {
  const systemUuid = `4c4c4544-0000-4000-8000-${hex(index + 1, 12)}`;
  return create(FingerprintSchema, { systemUuid, systemSerial: `SN${index}`, macs: [macOf(index, 0)] });
}

/** A server with two disks, two network cards and eight memory modules. */
export function inventoryOf(index: number): Inventory {
  const { systemUuid, systemSerial } = fingerprintOf(index);
  return create(InventorySchema, {
    system: { uuid: systemUuid, manufacturer: "Bench", product: "R1", serial: systemSerial },
    cpu: { model: "EPYC 9354", sockets: 2, cores: 64, threads: 128, architecture: "x86_64" },
    memoryBytes: 256n << 30n,
    dimms: Array.from({ length: 8 }, (_, i) => ({ locator: `A${i}`, sizeBytes: 32n << 30n, type: "DDR5" })),
    disks: ["a", "b"].map((letter, i) => ({
      name: `sd${letter}`,
      model: "PM893",
      vendor: "SAMSUNG",
      serial: `D${index}${letter}`,
      wwn: `0x5002538f${hex(index * 2 + i, 8)}`,
      tran: "sata",
      sizeBytes: 480n * 10n ** 9n,
      logicalSectorBytes: 512,
      physicalSectorBytes: 4096,
      byId: [`ata-PM893_D${index}${letter}`],
      byPath: [`pci-0000:00:17.0-ata-${i + 1}`],
    })),
    nics: [0, 1].map((nic) => ({
      name: `eno${nic + 1}`,
      mac: macOf(index, nic),
      permanentMac: macOf(index, nic),
      driver: "ice",
      speedMbps: 25_000,
      link: nic === 0,
      pciAddress: `0000:31:00.${nic}`,
    })),
    firmware: { mode: Firmware_Mode.BIOS, vendor: "Bench", version: "1.2" },
  });
}

/** A directory as `muster image build` leaves it, with one chunk: nobody fetches it. */
export async function writeImage(directory: string): Promise<void> {
  await writeBuiltImage(directory, [randomBytes(4096)], {
    name: "bench-image",
    sizeBytes: 1n << 30n,
    kernelVersion: "6.1.0-56-amd64",
    firmware: ["bios", "uefi"],
  });
}

export function manifests(nodes: string[]): string {
  const places = nodes.map((node) => `  - { node: ${node}, role: worker }`).join("\n");
  return `
kind: Scheme
name: one-disk
disks:
  - { id: system, hints: { serial: "<in> a" } }
parteds:
  - disks: system
    partitions:
      - { name: bios, size: 1 MiB, flags: [bios_grub] }
      - { name: root, size: remaining }
fss:
  - { device: partition/root, type: ext4, mount: /, label: root }
---
kind: Role
name: worker
image: bench-image
scheme: one-disk
---
kind: Cluster
name: ${clusterName}
nodes:
${places}
`;
}

/** A task that is on no node yet. */
export function noopTask(number: number): string {
  return `
kind: Task
name: noop-${number}
roles: ["*"]
shell:
  command: "true"
`;
}
