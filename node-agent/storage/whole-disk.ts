// A disk that an image of a whole disk was written to: its table is made to end where the disk ends, and the root
// file system to fill it. Identifiers stay as they are: the image's boot loader and fstab go by them.
import { partitionPath } from "./devices.ts";
import { readSignature } from "./filesystems.ts";
import { growFilesystem } from "./grow.ts";
import { updateCommand } from "./tables.ts";
import { type StorageContext, settle, waitFor, withRetry } from "./wait.ts";

type Table = { partitiontable: { label: string; partitions?: { node: string; start: number }[] } };

/** `rootPartition`: its number; 0 if nobody knows. `mountPoint` is free. Gives what was grown, in words. */
export async function settleDisk(
  disk: string,
  rootPartition: number,
  mountPoint: string,
  context: StorageContext,
): Promise<string> {
  const { run, signal } = context;
  const { label, partitions = [] } = await readTable(disk, context);
  if (label === "gpt") await run(["sgdisk", "--move-second-header", disk], { signal });
  await rereadTable(disk, context);
  const root = partitionPath(disk, rootPartition);
  const last = partitions.reduce((a, b) => (b.start > a.start ? b : a), { node: "", start: -1 });
  if (rootPartition === 0 || last.node !== root) return "its partitions stay as they are";
  const node = await waitFor(
    async () => {
      const found = await run(["test", "-b", root], { signal, okCodes: [0, 1] });
      return found.code === 0 ? root : undefined;
    },
    `${root} does not appear after ${disk} was written. Look at the image's partition table.`,
    signal,
  );
  await run(["sfdisk", "--no-reread", "--no-tell-kernel", "-N", String(rootPartition), disk], {
    signal,
    input: ",+\n",
  });
  await rereadTable(disk, context);
  const { type } = await readSignature(node, context);
  const isGrown = await growFilesystem(type, node, mountPoint, context);
  return isGrown ? `${type} grown on ${node}` : `${node} grown, its ${type || "unknown content"} not`;
}

async function readTable(disk: string, { run, signal }: StorageContext): Promise<Table["partitiontable"]> {
  const { stdout } = await run(["sfdisk", "--json", disk], { signal });
  return (JSON.parse(stdout) as Table).partitiontable;
}

async function rereadTable(disk: string, context: StorageContext): Promise<void> {
  await withRetry(() => context.run(updateCommand(disk), { signal: context.signal }), context.signal);
  await settle(context);
}
