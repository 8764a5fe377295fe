// Files and trees that steps have needed, by their digest, so that the next step need not fetch them again. Bounded:
// what nobody has used for longest goes first. What lies there is compared with its digest before it is read.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";

const limitBytes = 512 << 20;
const pieceBytes = 256 << 10;
/** Of what has only partly come. */
const partly = ".part";

/** Gives a file from an offset on. */
export type Fetch = (offset: number) => AsyncIterable<Uint8Array>;

/** What came is not what the digest names. */
export class DigestError extends Error {
  override name = "DigestError";
}

export class FileCache {
  readonly #directory: string;
  readonly #limit: number;
  /** Under way: a file that several ask for comes once. */
  readonly #coming = new Map<string, Promise<void>>();

  constructor(directory: string, limit = limitBytes) {
    this.#directory = directory;
    this.#limit = limit;
  }

  /** The content, fetched if it is not there as it should be. Throws DigestError. */
  async *read(digest: string, fetch: Fetch): AsyncGenerator<Uint8Array> {
    const path = join(this.#directory, digest);
    // A power cut may have left anything under that name.
    if (!(await this.#isThere(path, digest))) await this.#come(digest, fetch);
    yield* createReadStream(path, { highWaterMark: pieceBytes }) as AsyncIterable<Uint8Array>;
  }

  async #come(digest: string, fetch: Fetch): Promise<void> {
    const under = this.#coming.get(digest);
    if (under) return under;
    const coming = this.#store(digest, fetch).finally(() => this.#coming.delete(digest));
    this.#coming.set(digest, coming);
    return coming;
  }

  /** What had come before a break is not fetched again; if it was wrong, it is, once. */
  async #store(digest: string, fetch: Fetch): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const aside = join(this.#directory, digest + partly);
    const before = await sizeOf(aside);
    await append(aside, fetch(before));
    if ((await digestOf(aside)) !== digest) {
      await rm(aside, { force: true });
      if (before > 0) return this.#store(digest, fetch);
      throw new DigestError(`the daemon sent something else than the file ${digest}; apply the task again`);
    }
    await rename(aside, join(this.#directory, digest));
    await this.#makeRoom(digest);
  }

  async #makeRoom(newest: string): Promise<void> {
    const files = await Promise.all(
      (await readdir(this.#directory)).map(async (name) => {
        const path = join(this.#directory, name);
        const { size, mtimeMs } = await stat(path);
        return { name, path, size, mtimeMs };
      }),
    );
    let total = files.reduce((sum, { size }) => sum + size, 0);
    for (const { name, path, size } of files.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
      if (total <= this.#limit) return;
      if (name === newest || this.#coming.has(name.replace(partly, ""))) continue;
      await rm(path, { force: true });
      total -= size;
    }
  }

  async #isThere(path: string, digest: string): Promise<boolean> {
    try {
      const now = new Date();
      await utimes(path, now, now);
      return (await digestOf(path)) === digest;
    } catch {
      return false;
    }
  }
}

async function append(path: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, "a", 0o600);
  try {
    for await (const piece of pieces) await file.writeFile(piece);
  } finally {
    await file.close();
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece);
  return hash.digest("hex");
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
