// Makes and opens what a state directory consists of, and says plainly why it cannot be used.
import { access, constants, mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { performance } from "node:perf_hooks";
import { ClassicLevel } from "classic-level";
import { asStoreError, StoreError } from "./errors.ts";
import { checkFiles } from "./files-check.ts";
import type { Database } from "./records.ts";
import { Witness } from "./witness.ts";

/** Where a restore builds what it will put in place. While it is there, nothing else may start. */
export const restoringName = "restoring";

/** Makes the directory if it is not there. */
export async function openStateDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o711 });
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw asStoreError(`the state directory ${directory}`, error);
  }
  if (await exists(join(directory, restoringName))) {
    throw new StoreError(
      "damaged",
      `${join(directory, restoringName)} is there: a restore is under way, or was interrupted; then do it again with ` +
        "`muster restore FILE --force`",
    );
  }
}

/** `directory` is `db` below the state directory; `subject` is what an error is about. */
export async function openDatabase(directory: string, subject = directory): Promise<Database> {
  let database: ClassicLevel<string, Uint8Array> | undefined;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    await checkFiles(directory);
    // Not before: it begins to open, and so to change its files, by itself.
    database = new ClassicLevel<string, Uint8Array>(directory, { valueEncoding: "view" });
    await database.open();
    return database;
  } catch (error) {
    await database?.close();
    throw asStoreError(subject, error);
  }
}

export function openWitness(directory: string): Witness {
  return new Witness(witnessPath(directory), () => performance.now());
}

export function witnessPath(directory: string): string {
  return `${join(dirname(directory), "db.revision")}`;
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
