// What an imported image is and what can be known of its content, without mounting anything.
import { open, symlink } from "node:fs/promises";
import { join } from "node:path";
import { ImageKind } from "../proto/gen/muster/v1/image_pb.ts";
import type { Range } from "./cutter.ts";
import { RefusedError } from "./errors.ts";
import { unusedRanges } from "./ext4.ts";
import { type Partition, partitionTypes, readPartitionTable, tableBytes } from "./partition-table.ts";
import { runTool } from "./tools.ts";

export type Facts = {
  kind: ImageKind;
  filesystem: string;
  filesystemUuid: string;
  kernelVersion: string;
  firmware: string[];
  rootPartition: number;
};

/** `unused`: what the image's file systems do not use, in order. */
export type Inspected = { facts: Facts; unused: Range[]; size: number };

type Options = { scratch: string; signal: AbortSignal };
type FileSystem = { type: string; uuid: string; offset: number; size: number };

const none = { filesystem: "", filesystemUuid: "", kernelVersion: "", firmware: [], rootPartition: 0 };
const supported = ["ext2", "ext3", "ext4", "xfs", "btrfs"];
const isExt = ({ type }: FileSystem) => /^ext[234]$/.test(type);

/** `forced`: what the operator says it is. Throws RefusedError if it is neither a disk nor a file system. */
export async function inspect(
  path: string,
  forced: ImageKind | undefined,
  options: Options,
): Promise<Inspected> {
  const { head, size } = await headOf(path);
  // e2fsprogs' programs take what follows a question mark in a name for options.
  const link = join(options.scratch, "inspected");
  await symlink(path, link);
  const table = forced === ImageKind.FILESYSTEM ? undefined : readPartitionTable(head);
  if (table) {
    const filesystems = new Map<Partition, FileSystem>();
    for (const partition of table.partitions) {
      const found = await probe(link, partition, options);
      if (found) filesystems.set(partition, found);
    }
    const has = (...types: string[]) => table.partitions.some(({ type }) => types.includes(type));
    const unused: Range[] = [];
    for (const filesystem of filesystems.values()) {
      if (isExt(filesystem)) unused.push(...(await unusedRanges(link, filesystem.offset, options)));
    }
    const root = rootOf(filesystems);
    const found = root && filesystems.get(root);
    // A disk may have its kernels in a file system of their own.
    const kernels: string[] = [];
    for (const filesystem of filesystems.values()) {
      if (isExt(filesystem)) kernels.push(...(await names(link, filesystem.offset, ["/boot", "/"], options)));
    }
    const facts: Facts = {
      kind: ImageKind.DISK,
      filesystem: found?.type ?? "",
      filesystemUuid: found?.uuid ?? "",
      kernelVersion: kernelOf(kernels),
      firmware: [
        ...(table.hasBootCode && (table.label === "dos" || has(partitionTypes.biosBoot)) ? ["bios"] : []),
        ...(has(partitionTypes.efiSystem, partitionTypes.dosEfiSystem) ? ["uefi"] : []),
      ],
      rootPartition: root?.number ?? 0,
    };
    return { facts, unused: unused.sort((a, b) => a.offset - b.offset), size };
  }
  const filesystem = await probe(link, { offset: 0, size }, options);
  if (filesystem && supported.includes(filesystem.type) && forced !== ImageKind.DISK) {
    const ext = isExt(filesystem);
    return {
      facts: {
        ...none,
        kind: ImageKind.FILESYSTEM,
        filesystem: filesystem.type,
        filesystemUuid: filesystem.uuid,
        kernelVersion: ext ? kernelOf(await names(link, 0, ["/boot"], options)) : "",
        firmware: ext ? firmwareOf(await names(link, 0, ["/usr/lib/grub"], options)) : [],
      },
      unused: ext ? await unusedRanges(link, 0, options) : [],
      size,
    };
  }
  if (forced === ImageKind.DISK) return { facts: { ...none, kind: ImageKind.DISK }, unused: [], size };
  throw new RefusedError(
    `it is neither a disk with a partition table, nor ${supported.join(", ")}, nor a tar` +
      `${filesystem ? ` (blkid says ${filesystem.type})` : ""}; --kind disk imports it as it is`,
  );
}

/** `listed`: the names in a tar, as tar lists them. */
export function inspectTree(listed: Iterable<string>): Facts {
  const boot: string[] = [];
  const grub: string[] = [];
  for (const name of listed) {
    const [, folder, base] = /^(?:\.?\/)?(boot|usr\/lib\/grub)\/([^/]+)\/?$/.exec(name) ?? [];
    if (base) (folder === "boot" ? boot : grub).push(base);
  }
  return { ...none, kind: ImageKind.TREE, kernelVersion: kernelOf(boot), firmware: firmwareOf(grub) };
}

/** The partition with the root file system: by its type, or else the largest one with a file system for it. */
function rootOf(filesystems: Map<Partition, FileSystem>): Partition | undefined {
  const able = [...filesystems]
    .filter(([, { type }]) => supported.includes(type))
    .map(([partition]) => partition);
  return able.find(({ type }) => type === partitionTypes.root) ?? able.sort((a, b) => b.size - a.size)[0];
}

/** The newest, if there are several. */
function kernelOf(files: string[]): string {
  const versions = files.flatMap((file) => /^vmlinuz-(.+)$/.exec(file)?.[1] ?? []);
  const bootable = versions.filter((version) => files.includes(`initrd.img-${version}`));
  const byNumber = new Intl.Collator("en", { numeric: true }).compare;
  return (bootable.length > 0 ? bootable : versions).sort(byNumber).at(-1) ?? "";
}

/** By the folders of GRUB's modules. */
function firmwareOf(folders: string[]): string[] {
  return [
    ...(folders.includes("i386-pc") ? ["bios"] : []),
    ...(folders.includes("x86_64-efi") ? ["uefi"] : []),
  ];
}

async function headOf(path: string): Promise<{ head: Buffer; size: number }> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const head = Buffer.alloc(Math.min(tableBytes, size));
    await file.read(head, 0, head.length, 0);
    return { head, size };
  } finally {
    await file.close();
  }
}

/** Undefined if blkid finds nothing there. */
async function probe(
  path: string,
  { offset, size }: { offset: number; size: number },
  { signal }: Options,
): Promise<FileSystem | undefined> {
  const args = ["-p", "-o", "export", "-O", String(offset), "-S", String(size), "-u", "filesystem", path];
  const text = await runTool("blkid", args, { signal }).catch((error: unknown) => {
    if (signal.aborted) throw error;
    return "";
  });
  const field = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(text)?.[1] ?? "";
  const type = field("TYPE");
  return type ? { type, uuid: field("UUID"), offset, size } : undefined;
}

/** The names in some folders of an ext4 file system; none of a folder that is not there. */
async function names(
  path: string,
  offset: number,
  folders: string[],
  { signal }: Options,
): Promise<string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    const where = offset > 0 ? `${path}?offset=${offset}` : path;
    const text = await runTool("debugfs", ["-R", `ls -p ${folder}`, where], { signal });
    found.push(...[...text.matchAll(/^\/\d+\/\d+\/\d+\/\d+\/([^/]+)\//gm)].map((match) => match[1] ?? ""));
  }
  return found;
}
