// Opens the database of a state directory, and says plainly why it cannot be opened.
import { ClassicLevel } from "classic-level";
import { type Database, StoreError } from "./store.ts";

export async function openDatabase(directory: string): Promise<Database> {
  const database = new ClassicLevel<string, Uint8Array>(directory, { valueEncoding: "view" });
  try {
    await database.open();
    return database;
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const code = cause instanceof Error && "code" in cause ? cause.code : "";
    if (code === "LEVEL_LOCKED") {
      throw new StoreError(
        `${directory} is in use by another muster daemon: stop it, or use another --state-dir`,
        { cause },
      );
    }
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError(`${directory} cannot be opened: ${why}`, { cause });
  }
}
