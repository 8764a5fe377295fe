// Files that come in pieces. What has come of one is kept, so that it goes on from there after a break; with the
// last piece it is checked as a whole.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { FileError, GapError } from "./file-error.ts";
import { errorCode } from "./files.ts";

/** Where a piece belongs. `name`: of the file, until it is whole. */
export type Piece = { name: string; offset: bigint; content: Uint8Array };

export class FileIntake {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  path(name: string): string {
    return join(this.#directory, name);
  }

  /** Bytes that have come so far. */
  async size(name: string): Promise<number> {
    try {
      return (await stat(this.path(name))).size;
    } catch (error) {
      if (errorCode(error) === "ENOENT") return 0;
      throw error;
    }
  }

  /** Adds what is new of a piece. Throws GapError. */
  async add({ name, offset, content }: Piece): Promise<void> {
    const size = await this.size(name);
    if (offset > BigInt(size)) throw new GapError(offset, size);
    const fresh = content.subarray(Math.min(content.length, size - Number(offset)));
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const file = await open(this.path(name), "a", 0o600);
    try {
      await file.write(fresh);
    } catch (error) {
      // Half a piece would count as all that has come of it.
      await file.truncate(size).catch(() => {});
      throw error;
    } finally {
      await file.close();
    }
  }

  /** Checks what has come, and sees that a power cut cannot take it away. What is wrong is thrown away. */
  async check(name: string, digest: string): Promise<void> {
    const path = this.path(name);
    const hash = createHash("sha256");
    for await (const piece of createReadStream(path)) hash.update(piece);
    const found = hash.digest("hex");
    if (found !== digest) {
      await rm(path, { force: true });
      const message = `what came has the digest ${found}, and not ${digest}: it is thrown away, send it again`;
      throw new FileError("DIGEST_MISMATCH", message);
    }
    const file = await open(path, "r");
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async forget(name: string): Promise<void> {
    await rm(this.path(name), { force: true });
  }

  /** Throws away what nobody has gone on with since then. */
  async sweep(beforeMs: number): Promise<void> {
    for (const name of await namesIn(this.#directory)) {
      const { mtimeMs } = await stat(this.path(name));
      if (mtimeMs < beforeMs) await this.forget(name);
    }
  }
}

/** None if there is no such directory. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}
