// A directory for tests of steps that start programs: what these leave in the temporary directory shows in it.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";

/** A new one for every test of the file; PATH and TMPDIR are as before afterwards. Gives where it is now. */
export function scratchDirectory(prefix: string): () => string {
  let directory = "";
  const { PATH: path, TMPDIR: temporary } = process.env;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), prefix));
    process.env.TMPDIR = join(directory, "tmp");
    mkdirSync(process.env.TMPDIR);
  });
  afterEach(() => {
    process.env.PATH = path;
    if (temporary === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = temporary;
    rmSync(directory, { recursive: true });
  });
  return () => directory;
}
