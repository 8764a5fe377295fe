// Reads LevelDB's files before LevelDB does. It drops what is damaged in its write-ahead log without an error, and
// deletes the log; it does not check what it reads from tables; and when CURRENT is missing it begins a new database
// over the old one. So all is looked at while it is still there.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { damaged } from "./errors.ts";
import { journalFault } from "./journal-check.ts";
import { isDamagedTable } from "./table-check.ts";

/** Throws if LevelDB would lose something by opening this directory. */
export async function checkFiles(directory: string): Promise<void> {
  const names = await readdir(directory);
  if (!names.includes("CURRENT")) {
    // A first start may have died before it wrote CURRENT.
    const begun = names.filter((name) => /\.(ldb|sst|log)$|^MANIFEST-/.test(name));
    if (begun.every((name) => name === "MANIFEST-000001")) return;
    throw damaged(`${join(directory, "CURRENT")} is missing`);
  }
  const manifest = (await readFile(join(directory, "CURRENT"), "latin1")).trim();
  for (const name of names) {
    const path = join(directory, name);
    if (name.endsWith(".log") || name === manifest) {
      const at = journalFault(await readFile(path));
      if (at !== undefined) throw damaged(`${path} is damaged at byte ${at}`);
    }
    if (/\.(ldb|sst)$/.test(name) && isDamagedTable(await readFile(path))) {
      throw damaged(`${path} is damaged`);
    }
  }
}
