// Reads the partition table of a disk image: GPT, or the primary partitions of an MBR. Pure.

export type Partition = {
  /** As in the kernel's names: 1 is the first. */
  number: number;
  /** In bytes. */
  offset: number;
  size: number;
  /** GPT: the type's GUID in lower case; MBR: its number, such as 0x83. */
  type: string;
};

export type PartitionTable = {
  label: "gpt" | "dos";
  partitions: Partition[];
  /** The first sector has a program. */
  hasBootCode: boolean;
};

/** What of a disk `readPartitionTable` needs: GPTs have their entries in the first 34 sectors as a rule. */
export const tableBytes = 1 << 20;

export const partitionTypes = {
  efiSystem: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
  biosBoot: "21686148-6449-6e6f-744e-656564454649",
  /** By the Discoverable Partitions Specification, of x86-64. */
  root: "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
  dosEfiSystem: "0xef",
} as const;

const gptProtective = 0xee;

/** `head`: the disk's first `tableBytes`, or all of it. Undefined if there is no table with a partition in it. */
export function readPartitionTable(head: Buffer): PartitionTable | undefined {
  const hasBootCode = head.subarray(0, 440).some((byte) => byte !== 0);
  for (const sector of [512, 4096]) {
    const partitions = gptPartitions(head, sector);
    if (partitions.length > 0) return { label: "gpt", partitions, hasBootCode };
  }
  const partitions = mbrPartitions(head);
  return partitions.length > 0 ? { label: "dos", partitions, hasBootCode } : undefined;
}

function gptPartitions(head: Buffer, sector: number): Partition[] {
  if (head.toString("latin1", sector, sector + 8) !== "EFI PART") return [];
  const start = Number(head.readBigUInt64LE(sector + 72)) * sector;
  const count = head.readUInt32LE(sector + 80);
  const size = head.readUInt32LE(sector + 84);
  const partitions: Partition[] = [];
  for (let index = 0; index < count; index++) {
    const at = start + index * size;
    if (size < 128 || at + size > head.length) break;
    const type = guid(head.subarray(at, at + 16));
    if (/^[0-]+$/.test(type)) continue;
    const first = Number(head.readBigUInt64LE(at + 32));
    const last = Number(head.readBigUInt64LE(at + 40));
    partitions.push({ number: index + 1, offset: first * sector, size: (last - first + 1) * sector, type });
  }
  return partitions;
}

function mbrPartitions(head: Buffer): Partition[] {
  if (head.length < 512 || head.readUInt16LE(510) !== 0xaa55) return [];
  const partitions: Partition[] = [];
  for (let index = 0; index < 4; index++) {
    const at = 446 + index * 16;
    const status = head.readUInt8(at);
    const type = head.readUInt8(at + 4);
    const first = head.readUInt32LE(at + 8);
    const sectors = head.readUInt32LE(at + 12);
    // A file system's own boot sector has the same last two bytes, and a program where the table would be.
    if (status !== 0 && status !== 0x80) return [];
    if (type === 0 || type === gptProtective || first === 0 || sectors === 0) continue;
    const name = `0x${type.toString(16).padStart(2, "0")}`;
    partitions.push({ number: index + 1, offset: first * 512, size: sectors * 512, type: name });
  }
  return partitions;
}

/** The first three parts are little-endian. */
function guid(bytes: Buffer): string {
  const part = (from: number, to: number, swap: boolean) => {
    const piece = Buffer.from(bytes.subarray(from, to));
    return (swap ? piece.reverse() : piece).toString("hex");
  };
  return [part(0, 4, true), part(4, 6, true), part(6, 8, true), part(8, 10, false), part(10, 16, false)].join(
    "-",
  );
}
