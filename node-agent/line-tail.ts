// Reads the lines of a file that a program is still writing, as they come.
import { type FileHandle, open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

const everyMs = 200;
const pieceBytes = 64 << 10;

/** Does the work, and gives every line of the file to `onLine`: the last ones before it returns or throws. */
export async function tailing<T>(
  path: string,
  onLine: (line: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  const tail = new LineTail(path, onLine);
  const ended = new AbortController();
  const following = follow(tail, ended.signal);
  try {
    return await work();
  } finally {
    ended.abort();
    await following;
    await tail.end();
  }
}

async function follow(tail: LineTail, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    await tail.read();
    await delay(everyMs, undefined, { signal: ended }).catch(() => {});
  }
}

class LineTail {
  readonly #path: string;
  readonly #onLine: (line: string) => void;
  #file: FileHandle | undefined;
  #offset = 0;
  #rest = Buffer.alloc(0);

  constructor(path: string, onLine: (line: string) => void) {
    this.#path = path;
    this.#onLine = onLine;
  }

  /** What has come since. There may be no such file yet. */
  async read(): Promise<void> {
    this.#file ??= await open(this.#path).catch(() => undefined);
    const piece = Buffer.alloc(pieceBytes);
    for (;;) {
      const bytesRead = (await this.#file?.read(piece, 0, pieceBytes, this.#offset))?.bytesRead ?? 0;
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      this.#rest = Buffer.concat([this.#rest, piece.subarray(0, bytesRead)]);
      for (let end = this.#rest.indexOf(10); end >= 0; end = this.#rest.indexOf(10)) {
        this.#onLine(this.#rest.subarray(0, end).toString());
        this.#rest = this.#rest.subarray(end + 1);
      }
    }
  }

  async end(): Promise<void> {
    await this.read();
    if (this.#rest.length) this.#onLine(this.#rest.toString());
    await this.#file?.close();
  }
}
