// The journal's entries as files of a directory. Every file is a sequence of lines, each a whole entry: the last whole
// line counts, so that a write which a crash has cut off leaves what was there before.
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** Where a journal keeps its entries. Every operation may fail, and then leaves what was there. */
export type JournalDisk = {
  /** For people, where it is. */
  readonly place: string;
  list(): string[];
  read(name: string): string;
  /** A new entry's first line. If `durable`, it stays when this has returned. */
  create(name: string, line: string, durable: boolean): void;
  /** A further line. If `durable`, it stays when this has returned. */
  append(name: string, line: string, durable: boolean): void;
  /** One line in place of all. What a crash leaves may be either. */
  replace(name: string, line: string): void;
  remove(name: string): void;
};

const temporary = ".new";

export function journalFiles(place: string): JournalDisk {
  const path = (name: string) => join(place, name);
  return {
    place,
    list() {
      mkdirSync(place, { recursive: true, mode: 0o700 });
      return readdirSync(place).filter((name) => !name.endsWith(temporary));
    },
    read: (name) => readFileSync(path(name), "utf8"),
    create(name, line, durable) {
      writeNew(path(name), line, durable);
      if (durable) syncFolder(place);
    },
    append(name, line, durable) {
      const descriptor = openSync(path(name), "a", 0o600);
      const { size } = fstatSync(descriptor);
      try {
        writeLine(descriptor, line);
        if (durable) fsyncSync(descriptor);
      } catch (error) {
        ftruncateSync(descriptor, size);
        throw error;
      } finally {
        closeSync(descriptor);
      }
    },
    replace(name, line) {
      writeNew(path(`${name}${temporary}`), line, false);
      renameSync(path(`${name}${temporary}`), path(name));
    },
    remove: (name) => rmSync(path(name), { force: true }),
  };
}

function writeNew(file: string, line: string, durable: boolean): void {
  const descriptor = openSync(file, "w", 0o600);
  try {
    writeLine(descriptor, line);
    if (durable) fsyncSync(descriptor);
  } catch (error) {
    rmSync(file, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** A line that was cut off before must not become a part of this one. */
function writeLine(descriptor: number, line: string): void {
  const bytes = Buffer.from(`\n${line}\n`);
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
