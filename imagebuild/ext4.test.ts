import { expect, test } from "vitest";
import { fileSystemSize, parseFreeBlocks } from "./ext4.ts";

/** Of dumpe2fs 1.47.0, shortened. */
const dump = `Filesystem volume name:   <none>
Block count:              225024
Block size:               4096

Group 0: (Blocks 0-32767) csum 0x4cba [ITABLE_ZEROED]
  Primary superblock at 0, Group descriptors at 1-1
  19405 free blocks, 0 free inodes, 1015 directories
  Free blocks: 13363-13365, 32767
  Free inodes: 
Group 1: (Blocks 32768-65535) csum 0x8d1c [ITABLE_ZEROED]
  Block bitmap at 112 (bg #0 + 112)
  0 free blocks, 8048 free inodes, 0 directories, 8048 unused inodes
  Free blocks: 
  Free inodes: 8049-16096
`;

test("free blocks are read from dumpe2fs, also of a full group", () => {
  expect(parseFreeBlocks(dump)).toEqual([
    { first: 13363, last: 13365 },
    { first: 32767, last: 32767 },
  ]);
});

test("output that is not understood is refused, since used blocks would be lost", () => {
  expect(() => parseFreeBlocks(dump.replace("  Free blocks: \n", ""))).toThrow(
    "2 block groups but the free blocks of 1",
  );
  expect(() => parseFreeBlocks(dump.replace("4096", "1024"))).toThrow("block size of 1024");
  expect(() => parseFreeBlocks(dump.replace("13363-13365", "13365-13363"))).toThrow("is no range");
});

test("the size is a multiple of 1 MiB with room for content, inodes and journal", () => {
  const size = fileSystemSize({ blocks: 100_000, files: 50_000 });
  expect(size % 2 ** 20).toBe(0);
  expect(size).toBeGreaterThan(100_000 * 4096 + 50_000 * 256 + 64 * 2 ** 20);
});
