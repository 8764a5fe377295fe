// A file beside the database with a revision that was stored. LevelDB takes a log that was cut short for one that
// ended there; this notices. It is written after the commit and never synced, so that it can lag behind the
// database, also after a power loss, but never be ahead of it.
import { closeSync, constants, existsSync, openSync, readFileSync, writeSync } from "node:fs";
import { asStoreError, restoreRemedy, StoreError } from "./errors.ts";

const intervalMs = 2000;
const digits = 20;

/** 0 if there is none, or if a power loss has left it empty. */
export function witnessedRevision(path: string): bigint {
  const text = existsSync(path) ? readFileSync(path, "latin1") : "";
  return BigInt(/^\d{20}\n/.exec(text)?.[0] ?? 0);
}

export class Witness {
  readonly #path: string;
  readonly #file: number;
  readonly #clock: () => number;
  #writtenMs = Number.NEGATIVE_INFINITY;

  /** `clock` must not jump, such as performance.now. */
  constructor(path: string, clock: () => number) {
    this.#path = path;
    this.#clock = clock;
    try {
      this.#file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    } catch (error) {
      throw asStoreError(path, error);
    }
  }

  /** Throws if more was stored once than there is now. */
  check(revision: bigint): void {
    const known = witnessedRevision(this.#path);
    if (known <= revision) return;
    throw new StoreError(
      "damaged",
      `the database ends at revision ${revision}, but revision ${known} was stored: its last writes are ` +
        `missing; ${restoreRemedy}, or remove ${this.#path} to go on with what is there`,
    );
  }

  note(revision: bigint): void {
    if (this.#clock() - this.#writtenMs >= intervalMs) this.#write(revision);
  }

  close(revision?: bigint): void {
    try {
      if (revision !== undefined) this.#write(revision);
    } finally {
      closeSync(this.#file);
    }
  }

  #write(revision: bigint): void {
    // In place, so that it needs no room on a full disk.
    writeSync(this.#file, `${`${revision}`.padStart(digits, "0")}\n`, 0);
    this.#writtenMs = this.#clock();
  }
}
