// Small operating systems on the partitions of loop devices, as the image step would leave them.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { LoopMachine } from "./loop.ts";

/** Makes an ext4 with these files on a device; a path that ends with / is a directory. */
export async function installTree(
  { run, directory }: LoopMachine,
  device: string,
  files: Record<string, string>,
): Promise<void> {
  const tree = join(directory, "tree");
  await mkdir(tree);
  for (const [path, content] of Object.entries(files)) {
    const file = join(tree, path);
    if (path.endsWith("/")) {
      await mkdir(file, { recursive: true });
      continue;
    }
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  await run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, device]);
  await rm(tree, { recursive: true });
}

/** Mounts a device by itself and looks into it. */
export async function inside<T>(
  { run, directory }: LoopMachine,
  device: string,
  look: (root: string) => Promise<T>,
): Promise<T> {
  const mountPoint = join(directory, "look");
  await mkdir(mountPoint, { recursive: true });
  await run(["mount", device, mountPoint]);
  try {
    return await look(mountPoint);
  } finally {
    await run(["umount", mountPoint]);
  }
}
