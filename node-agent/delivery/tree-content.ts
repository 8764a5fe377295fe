// The content of an image in order, for what can only be written in order: the tar stream of a TREE image.
//
// Memory: the content of two lots of chunks, one being used and one being fetched, of 8 MiB each or of one chunk, and
// what one source has sent beyond that.
import type { Extent, ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { Decoder } from "./decoder.ts";
import { SourceFault } from "./faults.ts";
import { addressOf, fetchRequest, hopeless } from "./fetch-chunks.ts";
import type { Fetcher, Sink, SourceAddress, WantedChunk } from "./fetcher.ts";
import { openFetcher } from "./open-fetcher.ts";
import { decode, verifyStored } from "./place.ts";
import type { Sources } from "./sources.ts";

const lotBytes = 8 << 20;
const zeroBytes = 1 << 20;
const decoder = new Decoder();

export type TreeJob = {
  manifest: ImageManifest;
  digest: string;
  sources: Sources;
  signal: AbortSignal;
  /** A chunk of so many stored bytes has come. */
  onChunk(storedBytes: number): void;
};

/** Extents whose chunks are fetched together. */
type Lot = { extents: Extent[]; chunks: number[] };

export async function* treeContent(job: TreeJob): AsyncGenerator<Uint8Array> {
  const { manifest } = job;
  const connection = new Connection();
  try {
    let position = 0;
    const lots = inLots(manifest);
    let content = fetchLot(job, connection, lots[0]);
    for (const [at, lot] of lots.entries()) {
      const chunks = await content;
      content = fetchLot(job, connection, lots[at + 1]);
      // Whoever reads may stop before it is looked at.
      content.catch(() => {});
      for (const extent of lot.extents) {
        yield* zeros(Number(extent.offset) - position);
        const bytes = chunks.get(extent.chunk) ?? Buffer.alloc(0);
        yield bytes.subarray(extent.chunkOffset, extent.chunkOffset + extent.sizeBytes);
        position = Number(extent.offset) + extent.sizeBytes;
      }
    }
    yield* zeros(Number(manifest.sizeBytes) - position);
  } finally {
    connection.close();
  }
}

function* zeros(bytes: number): Generator<Uint8Array> {
  for (let left = bytes; left > 0; left -= zeroBytes) yield Buffer.alloc(Math.min(left, zeroBytes));
}

function inLots({ extents, chunks }: ImageManifest): Lot[] {
  const lots: Lot[] = [];
  let lot: Lot = { extents: [], chunks: [] };
  let bytes = 0;
  for (const extent of extents) {
    const size = chunks[extent.chunk]?.sizeBytes ?? 0;
    const isNew = !lot.chunks.includes(extent.chunk);
    if (isNew && bytes > 0 && bytes + size > lotBytes) {
      lots.push(lot);
      lot = { extents: [], chunks: [] };
      bytes = 0;
    }
    if (!lot.chunks.includes(extent.chunk)) {
      lot.chunks.push(extent.chunk);
      bytes += size;
    }
    lot.extents.push(extent);
  }
  if (lot.extents.length > 0) lots.push(lot);
  return lots;
}

/** Verified content, by index of the chunk. */
async function fetchLot(
  { manifest, digest, sources, signal, onChunk }: TreeJob,
  connection: Connection,
  lot: Lot | undefined,
): Promise<Map<number, Uint8Array>> {
  const content = new Map<number, Uint8Array>();
  const missing = () => (lot?.chunks ?? []).filter((chunk) => !content.has(chunk));
  const sink: Sink = {
    room: () => Buffer.alloc(0),
    roomAgain: async () => {},
    giveBack: () => {},
    take: (chunk, stored) => {
      verifyStored(chunk, stored);
      const room = Buffer.allocUnsafeSlow(chunk.sizeBytes + 1);
      decode(chunk, stored, room, decoder);
      content.set(chunk.index, room.subarray(0, chunk.sizeBytes));
      onChunk(chunk.storedBytes);
    },
  };
  while (missing().length > 0) {
    signal.throwIfAborted();
    const contested = missing().find((chunk) => sources.isContested(chunk));
    const fetches = (contested === undefined ? missing() : [contested]).map((chunk) => ({
      chunk,
      extents: [...manifest.extents.keys()]
        .filter((one) => manifest.extents[one]?.chunk === chunk)
        .slice(0, 1),
    }));
    const remainingBytes = fetches.reduce(
      (sum, { chunk }) => sum + (manifest.chunks[chunk]?.storedBytes ?? 0),
      0,
    );
    const request = fetchRequest(manifest, digest, fetches, remainingBytes);
    try {
      const source = await sources.pick(contested);
      try {
        const fetcher = await connection.to(addressOf(source));
        await fetcher.fetch(request, roomy(sink, request.chunks));
        sources.succeeded(source);
      } catch (error) {
        if (!(error instanceof SourceFault)) throw error;
        await sources.failed(source, error.fault);
      }
    } catch (error) {
      throw error instanceof SourceFault ? hopeless(manifest, error, fetches) : error;
    }
  }
  return content;
}

/** Always has room, for the largest of these chunks. */
function roomy(sink: Sink, wanted: WantedChunk[]): Sink {
  const bytes = wanted.reduce((most, { storedBytes }) => Math.max(most, storedBytes), 0);
  return { ...sink, room: () => Buffer.alloc(bytes) };
}

class Connection {
  #current: { key: string; fetcher: Promise<Fetcher> } | undefined;

  to(source: SourceAddress): Promise<Fetcher> {
    const key = JSON.stringify(source);
    if (this.#current?.key !== key) {
      this.close();
      this.#current = { key, fetcher: openFetcher(source) };
    }
    return this.#current.fetcher;
  }

  close(): void {
    void this.#current?.fetcher.then((fetcher) => fetcher.close());
    this.#current = undefined;
  }
}
