// The part of the ramdisk that does not change with the agent: the kernel, the first modules and the squashfs.
import { copyFile, mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bytes } from "./progress.ts";
import { copyFirstStage, kernelVersion, pruneRamdiskTree } from "./ramdisk-tree.ts";
import { fileDigest, stage, stamp, type Workshop } from "./stage.ts";
import { runTool } from "./tools.ts";

/** Blocks of 1 MiB would save 2 %, and a machine would unpack a megabyte to read one small file. */
const squashfsOptions = [
  "-comp",
  "zstd",
  "-Xcompression-level",
  "15",
  "-b",
  "128K",
  "-all-root",
  "-noappend",
];

/** A folder with root.sqfs, vmlinuz, kernel-version, busybox and modules/. */
export async function buildRamdiskBase(shop: Workshop, rootfs: string): Promise<string> {
  const inputs = {
    rootfs: await stamp(rootfs),
    node: await fileDigest(process.execPath),
    tree: await fileDigest(join(import.meta.dirname, "ramdisk-tree.ts")),
    squashfsOptions,
  };
  return stage(shop, "ramdisk-base", inputs, async (target) => {
    const what = "kernel modules, tools and node into a squashfs";
    await shop.progress.run("ramdisk-base", what, () => makeBase(shop, rootfs, target), bytes);
  });
}

/** Size of the squashfs. */
async function makeBase(shop: Workshop, rootfs: string, target: string): Promise<number> {
  const options = { signal: shop.signal };
  const root = join(shop.scratch, "ramdisk-root");
  await mkdir(root);
  await mkdir(target);
  await runTool("tar", ["-C", root, "--exclude=./dev/*", "--numeric-owner", "-xpf", rootfs], options);
  const version = await kernelVersion(root);
  await copyFile(join(root, "boot", `vmlinuz-${version}`), join(target, "vmlinuz"));
  await writeFile(join(target, "kernel-version"), version);
  await pruneRamdiskTree(root, version, options);
  await copyFirstStage(root, version, target, options);
  const squashfs = join(target, "root.sqfs");
  await runTool("mksquashfs", [root, squashfs, ...squashfsOptions, "-no-progress", "-quiet"], options);
  return (await stat(squashfs)).size;
}
