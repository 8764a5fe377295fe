// Has the lanes fetch chunks, from whichever source gives them, until all are on the target.
import { create, toBinary } from "@bufbuild/protobuf";
import {
  FetchChunksRequestSchema,
  type ImageSource,
  ImageSource_Kind,
} from "../../proto/gen/muster/v1/delivery_pb.ts";
import { type Chunk, Chunk_Encoding, type ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { chunkName } from "../../proto/image/layout.ts";
import { SourceFault } from "./faults.ts";
import type { FetchRequest, Run, SourceAddress, WantedChunk } from "./fetcher.ts";
import { type Ask, type Lanes, tasksPerLane } from "./lanes.ts";
import { extentAt, type Fetch } from "./plan-writes.ts";
import type { Sources } from "./sources.ts";

/** Chunks in one request: enough that there is no pause between requests, few enough to share them out. */
const requestChunks = 32;

export type FetchJob = {
  manifest: ImageManifest;
  /** Hexadecimal, of the manifest. */
  digest: string;
  fetches: readonly Fetch[];
  laneCount: number;
  sources: Sources;
  signal: AbortSignal;
  /** The extents of this one are on the target now. */
  onPlaced(fetch: Fetch, chunk: Chunk): void;
};

export async function fetchChunks(job: FetchJob, lanes: Lanes): Promise<void> {
  const queue = new Queue(job);
  await lanes.all((ask) => work(job, queue, ask));
}

async function work({ manifest, digest, sources, signal }: FetchJob, queue: Queue, ask: Ask): Promise<void> {
  for (let batch = queue.next(); batch.length > 0; batch = queue.next()) {
    signal.throwIfAborted();
    const first = batch[0]?.chunk;
    const isContested = first !== undefined && sources.isContested(first);
    try {
      const source = await sources.pick(isContested ? first : undefined);
      const request = fetchRequest(manifest, digest, batch, queue.remainingBytes);
      const onPlaced = (chunk: number) => {
        queue.placed(chunk);
        sources.succeeded(source);
      };
      try {
        await ask({ kind: "fetch", source: addressOf(source), request }, onPlaced);
      } catch (error) {
        if (!(error instanceof SourceFault)) throw error;
        queue.putBack(batch);
        await sources.failed(source, error.fault);
      }
    } catch (error) {
      throw error instanceof SourceFault ? hopeless(manifest, error, batch) : error;
    }
  }
}

class Queue {
  readonly #job: FetchJob;
  readonly #waiting: Fetch[];
  readonly #missing: Map<number, Fetch>;
  remainingBytes: number;

  constructor(job: FetchJob) {
    this.#job = job;
    this.#waiting = [...job.fetches].reverse();
    this.#missing = new Map(job.fetches.map((fetch) => [fetch.chunk, fetch]));
    this.remainingBytes = job.fetches.reduce((sum, { chunk }) => sum + this.#chunk(chunk).storedBytes, 0);
  }

  /** Towards the end smaller ones, so that all lanes end at the same time. Contested chunks come alone. */
  next(): Fetch[] {
    const { laneCount, sources } = this.#job;
    const share = Math.ceil(this.#waiting.length / (laneCount * tasksPerLane * 2));
    const batch: Fetch[] = [];
    while (batch.length < Math.min(share, requestChunks)) {
      const next = this.#waiting.at(-1);
      if (!next) break;
      const isContested = sources.isContested(next.chunk);
      if (isContested && batch.length > 0) break;
      this.#waiting.pop();
      batch.push(next);
      if (isContested) break;
    }
    return batch;
  }

  placed(chunk: number): void {
    const fetch = this.#missing.get(chunk);
    if (!fetch) return;
    this.#missing.delete(chunk);
    this.remainingBytes -= this.#chunk(chunk).storedBytes;
    this.#job.onPlaced(fetch, this.#chunk(chunk));
  }

  putBack(batch: Fetch[]): void {
    this.#waiting.push(...batch.filter(({ chunk }) => this.#missing.has(chunk)).reverse());
  }

  #chunk(index: number): Chunk {
    return chunkAt(this.#job.manifest, index);
  }
}

export function addressOf({ kind, address, ticket }: ImageSource): SourceAddress {
  if (kind === ImageSource_Kind.HTTP) return { kind: "http", address: address.replace(/\/?$/, "/"), ticket };
  if (kind === ImageSource_Kind.GRPC) return { kind: "grpc", address, ticket };
  const isJoined = kind === ImageSource_Kind.TORRENT && address.startsWith("/");
  return { kind: isJoined ? "directory" : "unknown", address, ticket };
}

/** `remainingBytes`: stored bytes that are needed in all. */
export function fetchRequest(
  manifest: ImageManifest,
  digest: string,
  fetches: readonly Fetch[],
  remainingBytes: number,
): FetchRequest {
  const indexes = fetches.map(({ chunk }) => chunk);
  const message = create(FetchChunksRequestSchema, {
    digest,
    indexes,
    remainingBytes: BigInt(remainingBytes),
  });
  return {
    chunks: fetches.map((fetch) => wantedChunk(manifest, fetch)),
    encoded: toBinary(FetchChunksRequestSchema, message),
  };
}

function wantedChunk(manifest: ImageManifest, { chunk: index, extents }: Fetch): WantedChunk {
  const chunk = chunkAt(manifest, index);
  const { sizeBytes, storedBytes, encoding } = chunk;
  const runs: Run[] = [];
  for (const one of extents) {
    const extent = extentAt(manifest, one);
    runs.push({
      chunkOffset: extent.chunkOffset,
      offset: Number(extent.offset),
      sizeBytes: extent.sizeBytes,
    });
  }
  const isPacked = encoding === Chunk_Encoding.ZSTD;
  return { index, name: chunkName(chunk), sizeBytes, storedBytes, isPacked, runs };
}

function chunkAt(manifest: ImageManifest, index: number): Chunk {
  const chunk = manifest.chunks[index];
  if (!chunk) throw new Error(`image ${manifest.name} has no chunk ${index}. Retry the step.`);
  return chunk;
}

/** No source has it right. */
export function hopeless(manifest: ImageManifest, { message, chunk }: SourceFault, batch: Fetch[]): Error {
  const index = chunk ?? batch[0]?.chunk ?? 0;
  const first = batch.find((fetch) => fetch.chunk === index)?.extents[0];
  const offset = first === undefined ? "" : ` at offset ${extentAt(manifest, first).offset}`;
  return new Error(
    `image ${manifest.name}: chunk ${index}${offset} is right nowhere: ${message}; nothing of it was written. ` +
      "Repair the store with `muster image repair` and retry.",
  );
}
