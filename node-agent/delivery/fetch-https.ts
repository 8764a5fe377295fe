// Chunks over HTTPS, for mirrors that are no plain HTTP servers: node's own client, so slower.

import type { IncomingMessage } from "node:http";
import { get as plainGet } from "node:http";
import { Agent, type RequestOptions, get as secureGet } from "node:https";
import { chunkFile, manifestFile, signatureFile } from "../../proto/image/layout.ts";
import { chunkBytesMax } from "../../proto/image/manifest.ts";
import { SourceFault } from "./faults.ts";
import { type Fetcher, type FetchRequest, roomIn, type Sink, type SourceAddress } from "./fetcher.ts";

const atOnce = 4;
const idleMs = 60_000;
/** Some 2 million extents: an image of 150 GiB. */
const manifestLimit = 128 << 20;

export class HttpsFetcher implements Fetcher {
  readonly #address: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  readonly #closed = new AbortController();

  constructor({ address }: SourceAddress) {
    this.#address = address;
  }

  async fetch({ chunks }: FetchRequest, sink: Sink): Promise<void> {
    const options = { agent: this.#agent, signal: this.#closed.signal };
    let next = 0;
    let failed = false;
    const work = async () => {
      for (let chunk = chunks[next++]; chunk && !failed; chunk = chunks[next++]) {
        try {
          const stored = await download(`${this.#address}${chunkFile(chunk.name)}`, options, chunkBytesMax);
          sink.take(chunk, stored, await roomIn(sink));
        } catch (error) {
          failed = true;
          if (!(error instanceof SourceFault)) throw error;
          throw new SourceFault({ ...error.fault, chunk: chunk.index });
        }
      }
    };
    const ends = await Promise.allSettled(Array.from({ length: atOnce }, work));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  close(): void {
    this.#closed.abort();
    this.#agent.destroy();
  }
}

/** Over http or https. */
export async function httpManifest({ address }: SourceAddress, digest: string, signal: AbortSignal) {
  const manifest = await download(`${address}${manifestFile(digest)}`, { signal }, manifestLimit);
  const signature = await download(`${address}${signatureFile(digest)}`, { signal }, 1024);
  return { $typeName: "muster.v1.SignedImageManifest" as const, manifest, signature };
}

/** Throws SourceFault. */
function download(url: string, options: RequestOptions, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const fail = (message: string, kind: "away" | "denied" | "missing" = "away") =>
      reject(new SourceFault({ kind, message }));
    const onAnswer = (answer: IncomingMessage) => {
      const { statusCode = 0 } = answer;
      if (statusCode !== 200) {
        answer.destroy();
        const isPassing = statusCode === 429 || statusCode >= 500;
        const isDenied = statusCode === 401 || statusCode === 403;
        return fail(`it answered ${statusCode}`, isPassing ? "away" : isDenied ? "denied" : "missing");
      }
      const parts: Buffer[] = [];
      let bytes = 0;
      answer.on("data", (part: Buffer) => {
        parts.push(part);
        bytes += part.length;
        if (bytes <= limit) return;
        fail(`it sends more than ${limit} bytes`, "missing");
        answer.destroy();
      });
      answer.on("end", () => resolve(Buffer.concat(parts)));
      answer.on("error", (error) => fail(error.message));
      answer.on("close", () => fail("it broke off"));
    };
    const get = url.startsWith("https:") ? secureGet : plainGet;
    const request = get(url, { ...options, timeout: idleMs }, onAnswer);
    request.on("timeout", () => request.destroy(new Error(`it was silent for ${idleMs / 1000} s`)));
    request.on("error", (error) => fail(error.message));
  });
}
