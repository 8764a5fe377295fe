// Check `disk-space`: room for the database, without which the daemon ends, and for images and logs.
import { stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes } from "../../../proto/render/bytes.ts";
import { type Check, fault, ok, type Verdict, warning } from "./check.ts";

const mib = 1 << 20;
/** Below the first the database may soon not be written; below the second another image may not fit. */
const limits = { error: 256 * mib, warning: 4096 * mib };
const inodesNeeded = 10_000;

export const diskSpace: Check = {
  name: "disk-space",
  run: async ({ stateDir }) => {
    const seen = new Set<number>();
    const verdicts: Verdict[] = [];
    for (const directory of [stateDir, join(stateDir, "images"), join(stateDir, "logs")]) {
      // Directories of one file system share its room.
      const device = (await stat(directory).catch(() => undefined))?.dev;
      if (device === undefined || seen.has(device)) continue;
      seen.add(device);
      verdicts.push(await roomIn(directory));
    }
    return verdicts;
  },
};

async function roomIn(directory: string): Promise<Verdict> {
  const { bavail, bsize, blocks, ffree, files } = await statfs(directory);
  const free = bavail * bsize;
  const text = `${directory} has ${formatBytes(free)} of ${formatBytes(blocks * bsize)} left`;
  const remedy = "muster image gc, delete what else is there, or move the state directory to a larger disk";
  if (free < limits.error) return fault(text, remedy);
  if (files > 0 && ffree < inodesNeeded)
    return fault(`${directory} has room for ${ffree} more files only`, remedy);
  return free < limits.warning ? warning(text, remedy) : ok(text);
}
