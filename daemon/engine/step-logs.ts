// The logs of attempts as files, written by offset: what is sent twice is stored once.
import { mkdir, open, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

const chunkBytes = 60 << 10;
const pollMs = 300;
/** More than an agent ever keeps of a log: whoever leaves out more is mistaken. */
const longestGapBytes = 64 << 20;

export class StepLogs {
  readonly #directory: string;
  readonly #queue = new Map<string, Promise<unknown>>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Stores content at its offset; resolves with the offset up to which everything is stored. */
  append(token: string, offset: bigint, content: Uint8Array): Promise<bigint> {
    const before = this.#queue.get(token) ?? Promise.resolve();
    const done = before.catch(() => {}).then(() => this.#write(token, Number(offset), content));
    this.#queue.set(token, done);
    const forget = () => {
      if (this.#queue.get(token) === done) this.#queue.delete(token);
    };
    done.then(forget, forget);
    return done;
  }

  /** From an offset to the end of what is there; with `follow`, until `ended` says that no more will come. */
  async *read(
    token: string,
    from: bigint,
    options: { follow: boolean; ended: () => boolean; signal: AbortSignal },
  ): AsyncGenerator<{ offset: bigint; content: Uint8Array }> {
    let offset = Number(from);
    while (!options.signal.aborted) {
      const ended = options.ended();
      for await (const content of this.#readFrom(token, offset)) {
        yield { offset: BigInt(offset), content };
        offset += content.length;
      }
      if (!options.follow || ended) return;
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  async #write(token: string, offset: number, content: Uint8Array): Promise<bigint> {
    const path = this.#path(token);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const size = await sizeOf(path);
    if (offset + content.length <= size) return BigInt(size);
    if (offset - size > longestGapBytes)
      throw new Error(`the log of ${token} has ${size} bytes, and cannot go on at ${offset}`);
    const fresh = content.subarray(Math.max(0, size - offset));
    const file = await open(path, "a", 0o600);
    try {
      // Where the agent had to drop lines there is a gap in the offsets: it is filled, so that they stay true.
      if (offset > size) await file.write("\n".repeat(offset - size));
      await file.write(fresh);
    } finally {
      await file.close();
    }
    return BigInt(offset + content.length);
  }

  async *#readFrom(token: string, start: number): AsyncGenerator<Uint8Array> {
    const path = this.#path(token);
    if ((await sizeOf(path)) <= start) return;
    const file = await open(path, "r");
    try {
      for (let position = start; ; ) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, position);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
        position += bytesRead;
      }
    } finally {
      await file.close();
    }
  }

  /** Forgets the logs of all attempts of a deployment. */
  async remove(deployment: string): Promise<void> {
    if (!/^[a-z0-9-]+$/.test(deployment)) throw new Error(`${deployment} is no deployment's name`);
    await rm(join(this.#directory, deployment), { recursive: true, force: true });
  }

  // Tokens are DEPLOYMENT/NODE/TASK/ATTEMPT of checked names, so they are safe as paths.
  #path(token: string): string {
    if (!/^[a-z0-9-]+(\/[a-z0-9-]+){2}\/[0-9]+$/.test(token))
      throw new Error(`${token} is no attempt's token`);
    return join(this.#directory, `${token}.log`);
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
