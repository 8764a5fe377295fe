import { expect, test } from "vitest";
import { fileSystemSize, parseUnused } from "./ext4.ts";

/** Of dumpe2fs 1.47.0, shortened. */
const dump = `Filesystem volume name:   <none>
Filesystem features:      has_journal ext_attr resize_inode dir_index filetype extent 64bit flex_bg
Filesystem state:         clean
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

test("unused ranges are read from dumpe2fs, also of a full group", () => {
  expect(parseUnused(dump)).toEqual([
    { offset: 13363 * 4096, size: 3 * 4096 },
    { offset: 32767 * 4096, size: 4096 },
  ]);
});

test("in a partition that does not begin at a block of the image only the image's whole blocks count", () => {
  const sector63 = 63 * 512;
  expect(parseUnused(dump, sector63)).toEqual([{ offset: 13363 * 4096 + 32_768, size: 2 * 4096 }]);
});

test("output that is not understood is refused, since used blocks would be lost", () => {
  expect(() => parseUnused(dump.replace("  Free blocks: \n", ""))).toThrow(
    "2 block groups but the free blocks of 1",
  );
  expect(() => parseUnused(dump.replace(/^Block size.*$/m, ""))).toThrow("no block size");
  expect(() => parseUnused(dump.replace("13363-13365", "13365-13363"))).toThrow("is no range");
});

test("of smaller blocks only whole ones of the image count, across groups too", () => {
  const small = dump
    .replace("4096", "1024")
    .replace("13363-13365, 32767", "13-18, 32767")
    .replace("  Free blocks: \n", "  Free blocks: 32768-32774\n");
  expect(parseUnused(small)).toEqual([{ offset: 32768 * 1024, size: 4096 }]);
});

test("nothing is known to be unused while a journal has to be replayed, or after errors", () => {
  expect(parseUnused(dump.replace("has_journal", "has_journal needs_recovery"))).toEqual([]);
  expect(parseUnused(dump.replace("clean", "not clean"))).toEqual([]);
  expect(parseUnused(dump.replace("flex_bg", "flex_bg bigalloc"))).toEqual([]);
});

test("the size is a multiple of 1 MiB with room for content, inodes and journal", () => {
  const size = fileSystemSize({ blocks: 100_000, files: 50_000 });
  expect(size % 2 ** 20).toBe(0);
  expect(size).toBeGreaterThan(100_000 * 4096 + 50_000 * 256 + 64 * 2 ** 20);
});
