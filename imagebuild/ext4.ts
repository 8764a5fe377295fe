// Makes the ext4 file system of an image from a folder, without mounting anything, and reads which of its
// blocks are used.
import { createHash } from "node:crypto";
import { lstat, readdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Range } from "./cutter.ts";
import { runTool, type ToolOptions } from "./tools.ts";

export const blockBytes = 4096;
const journalMiB = 64;
const inodeBytes = 256;

/** Named one by one, so that the build machine's defaults, which a target's GRUB may not know, do not matter. */
const features = [
  "none",
  "has_journal",
  "ext_attr",
  "resize_inode",
  "dir_index",
  "filetype",
  "extent",
  "64bit",
  "flex_bg",
  "sparse_super",
  "large_file",
  "huge_file",
  "dir_nlink",
  "extra_isize",
  "metadata_csum",
].join(",");

export type Ext4 = { path: string; sizeBytes: number; uuid: string };

/** `name` decides the UUID and the hash seed; `time` is that of the file system's own records. */
export async function makeExt4(
  input: { tree: string; path: string; name: string; time: number },
  options: ToolOptions,
): Promise<Ext4> {
  const sizeBytes = fileSystemSize(await treeUsage(input.tree));
  const uuid = uuidOf(`muster image ${input.name}`);
  await writeFile(input.path, "");
  await truncate(input.path, sizeBytes);
  const args = ["-q", "-F", "-t", "ext4", "-b", String(blockBytes), "-I", String(inodeBytes), "-O", features];
  args.push("-m", "1", "-J", `size=${journalMiB}`, "-U", uuid);
  args.push("-E", `hash_seed=${uuidOf("hash seed")},root_owner=0:0,nodiscard`, "-d", input.tree, input.path);
  await runTool("mke2fs", args, { ...options, env: { E2FSPROGS_FAKE_TIME: String(input.time) } });
  return { path: input.path, sizeBytes, uuid };
}

/** A UUID that depends on nothing but `text`, in the form of version 8. */
function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

type TreeUsage = { blocks: number; files: number };

async function treeUsage(directory: string): Promise<TreeUsage> {
  const usage = { blocks: 0, files: 0 };
  const seen = new Set<number>();
  const walk = async (path: string): Promise<void> => {
    for (const name of await readdir(path)) {
      const child = join(path, name);
      const facts = await lstat(child);
      if (facts.nlink > 1 && !facts.isDirectory()) {
        if (seen.has(facts.ino)) continue;
        seen.add(facts.ino);
      }
      usage.files++;
      usage.blocks += Math.ceil(facts.size / blockBytes);
      if (facts.isDirectory()) await walk(child);
    }
  };
  await walk(directory);
  return usage;
}

/**
 * Room for the content, the journal, the inode tables and a few per cent: the agent grows the file system to
 * its device anyway. A multiple of 1 MiB.
 */
export function fileSystemSize(usage: TreeUsage): number {
  const content = usage.blocks * blockBytes;
  const inodes = Math.max(usage.files, content / 16_384) * inodeBytes;
  const total = (content + inodes) * 1.06 + (journalMiB + 48) * 2 ** 20;
  return Math.ceil(total / 2 ** 20) * 2 ** 20;
}

/**
 * The ranges of bytes that the file system does not use, in order, in whole blocks of an image; those in `path`
 * that begins at byte `offset`. Empty if nobody can say, as when its journal still has to be replayed.
 */
export async function unusedRanges(path: string, offset: number, options: ToolOptions): Promise<Range[]> {
  const text = await runTool("dumpe2fs", [offset > 0 ? `${path}?offset=${offset}` : path], options);
  return parseUnused(text, offset);
}

/**
 * Of dumpe2fs: the lines `  Free blocks: 9345-32767, 40000` of its block groups. `offset`: where the file system begins
 * in the image, which need not be at a block of it: on old disks it is at sector 63.
 */
export function parseUnused(text: string, offset = 0): Range[] {
  const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, "m").exec(text)?.[1] ?? "";
  const blockSize = Number(field("Block size"));
  if (!(blockSize >= 1024)) throw new Error("dumpe2fs shows no block size");
  // What is in its journal may be in blocks that the file system still shows as free.
  if (/\bneeds_recovery\b/.test(field("Filesystem features")) || !/^clean\b/.test(field("Filesystem state")))
    return [];
  if (/\bbigalloc\b/.test(field("Filesystem features"))) return [];
  const groups = [...text.matchAll(/^Group \d+: /gm)].length;
  const lines = [...text.matchAll(/^ {2}Free blocks: ?(.*)$/gm)];
  if (groups === 0 || lines.length !== groups) {
    throw new Error(`dumpe2fs lists ${groups} block groups but the free blocks of ${lines.length}`);
  }
  const free = lines.flatMap((line) => freeInGroup(line[1] ?? "", blockSize));
  return wholeBlocks(free.map((range) => ({ offset: offset + range.offset, size: range.size })));
}

function freeInGroup(list: string, blockSize: number): Range[] {
  const ranges = list.split(",").map((range) => range.trim());
  return ranges.filter(Boolean).map((range) => {
    const [first = Number.NaN, last = first] = range.split("-").map(Number);
    if (!(first <= last)) throw new Error(`dumpe2fs lists the free blocks \`${range}\`, which is no range`);
    return { offset: first * blockSize, size: (last - first + 1) * blockSize };
  });
}

/** Adjacent ones joined, and without the parts of blocks at their ends. */
function wholeBlocks(ranges: Range[]): Range[] {
  const joined: Range[] = [];
  for (const range of ranges) {
    const last = joined.at(-1);
    if (last && last.offset + last.size === range.offset) last.size += range.size;
    else joined.push({ ...range });
  }
  return joined.flatMap(({ offset, size }) => {
    const first = Math.ceil(offset / blockBytes) * blockBytes;
    const end = Math.floor((offset + size) / blockBytes) * blockBytes;
    return first < end ? [{ offset: first, size: end - first }] : [];
  });
}
