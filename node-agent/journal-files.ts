// The journal's entries as files of a directory: each is written in full or not at all, and stays.
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** Where a journal keeps its entries. Every operation may fail, but does nothing by half. */
export type JournalDisk = {
  /** For people, where it is. */
  readonly place: string;
  list(): string[];
  read(name: string): string;
  /** Durable when this returns. */
  write(name: string, text: string): void;
  remove(name: string): void;
};

const temporary = ".new";

export function journalFiles(place: string): JournalDisk {
  return {
    place,
    list() {
      mkdirSync(place, { recursive: true, mode: 0o700 });
      return readdirSync(place).filter((name) => !name.endsWith(temporary));
    },
    read: (name) => readFileSync(join(place, name), "utf8"),
    write(name, text) {
      const file = join(place, `${name}${temporary}`);
      try {
        writeSynced(file, text);
      } catch (error) {
        rmSync(file, { force: true });
        throw error;
      }
      renameSync(file, join(place, name));
      syncFolder(place);
    },
    remove: (name) => rmSync(join(place, name), { force: true }),
  };
}

function writeSynced(file: string, text: string): void {
  const descriptor = openSync(file, "w", 0o600);
  try {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
