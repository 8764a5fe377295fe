// One lane: a thread with a connection and memory of its own. It fetches, verifies, decodes and writes, and looks
// at what the target holds.
//
// Memory: a slab of 16 MiB; a window of 8 MiB of gRPC messages that have come and are not yet taken; the stored
// bytes of one chunk (at most 4 MiB, 512 KiB with our builder's images).
import { hash } from "node:crypto";
import { Decoder } from "./decoder.ts";
import { SourceFault } from "./faults.ts";
import type { Fetcher, Sink, SourceAddress, WantedChunk } from "./fetcher.ts";
import {
  halfBytes,
  type LaneAnswer,
  type LaneOrder,
  type LaneSetup,
  type LaneTask,
  type Piece,
  slabBytes,
} from "./lane-protocol.ts";
import { openFetcher } from "./open-fetcher.ts";
import { decode, verifyStored } from "./place.ts";
import { alignment, pageAligned, readTarget, writeTarget } from "./target.ts";

/** More at once gains nothing, and what was read first can be hashed while the next is read. */
const readBytes = 1 << 20;
const writeBytes = 4 << 20;

/** A piece that was read, and where it lies in the slab. */
type Held = Piece & { at: number };
type Span = { at: number; offset: number; sizeBytes: number };

export class Lane {
  readonly #setup: LaneSetup;
  readonly #tell: (answer: LaneAnswer) => void;
  readonly #slab = pageAligned(slabBytes);
  readonly #head: Uint8Array;
  readonly #snapshot: Uint8Array;
  readonly #decoder = new Decoder();
  readonly #rooms: Uint8Array[] = [];
  readonly #held: Held[][] = [[], []];
  #roomIsBack: (() => void)[] = [];
  readonly #fetchers = new Map<string, Promise<Fetcher>>();

  constructor(setup: LaneSetup, tell: (answer: LaneAnswer) => void) {
    this.#setup = setup;
    this.#tell = tell;
    this.#head = setup.head;
    this.#snapshot = setup.snapshot;
    const roomBytes = Math.ceil(setup.roomBytes / alignment) * alignment;
    for (let at = 0; at + roomBytes <= slabBytes; at += roomBytes) {
      this.#rooms.push(this.#slab.subarray(at, at + roomBytes));
    }
  }

  async obey({ id, task }: LaneOrder): Promise<void> {
    try {
      let bad: number[] = [];
      if (task.kind === "fetch") await this.#fetch(id, task.source, task.request);
      else if (task.kind === "read") bad = await this.#read(task);
      else await this.#write(task.half);
      this.#tell({ id, kind: "done", bad });
    } catch (error) {
      if (error instanceof SourceFault) this.#tell({ id, kind: "fault", fault: error.fault });
      else
        this.#tell({ id, kind: "failed", message: error instanceof Error ? error.message : String(error) });
    }
  }

  async #fetch(id: number, source: SourceAddress, request: Parameters<Fetcher["fetch"]>[0]): Promise<void> {
    const writes: Promise<void>[] = [];
    const failures: unknown[] = [];
    const sink: Sink = {
      room: () => this.#rooms.pop(),
      roomAgain: () => new Promise((resolve) => this.#roomIsBack.push(resolve)),
      giveBack: (room) => this.#giveBack(room),
      take: (chunk, stored, room) => {
        try {
          if (failures.length > 0) throw failures[0];
          verifyStored(chunk, stored);
          decode(chunk, stored, room, this.#decoder);
        } catch (error) {
          this.#giveBack(room);
          throw error;
        }
        const placed = this.#place(chunk, room)
          .then(() => this.#tell({ id, kind: "placed", chunk: chunk.index }))
          .catch((error: unknown) => void failures.push(error))
          .finally(() => this.#giveBack(room));
        writes.push(placed);
      },
    };
    try {
      await (await this.#fetcherOf(source)).fetch(request, sink);
    } finally {
      await Promise.all(writes);
    }
    if (failures.length > 0) throw failures[0];
  }

  /** What was asked of one source may still be under way when another is used: none is closed before the thread ends. */
  #fetcherOf(source: SourceAddress): Promise<Fetcher> {
    const key = JSON.stringify(source);
    const fetcher = this.#fetchers.get(key) ?? openFetcher(source);
    this.#fetchers.set(key, fetcher);
    return fetcher;
  }

  async #place({ runs }: WantedChunk, room: Uint8Array): Promise<void> {
    const spans = runs.map(({ chunkOffset, offset, sizeBytes }) => ({ at: chunkOffset, offset, sizeBytes }));
    await this.#put(room, spans);
  }

  #giveBack(room: Uint8Array): void {
    this.#rooms.push(room);
    for (const resolve of this.#roomIsBack.splice(0)) resolve();
  }

  /** Pieces that lie one after another, and go one after another, are read at once. */
  async #read({ half, pieces, fromDisk }: Extract<LaneTask, { kind: "read" }>): Promise<number[]> {
    const slab = this.#half(half);
    let at = 0;
    const held = pieces.map((piece): Held => {
      const place = at;
      at += piece.sizeBytes;
      return { ...piece, at: place };
    });
    const bad: number[] = [];
    const onDisk = held.filter((piece) => fromDisk || !this.#takeFromSnapshot(piece, slab));
    const spans = merged(
      onDisk.map((piece) => ({ at: piece.at, offset: piece.from, sizeBytes: piece.sizeBytes })),
      readBytes,
    );
    const verify = (piece: Held, index: number) => {
      const found = hash("sha256", slab.subarray(piece.at, piece.at + piece.sizeBytes), "hex");
      if (found !== piece.digest) bad.push(index);
    };
    const isWithin = ({ at: start, sizeBytes }: Span, piece: Held) =>
      piece.at >= start && piece.at < start + sizeBytes;
    const reads = spans.map(async (span) => {
      await readTarget(this.#setup.target, slab.subarray(span.at, span.at + span.sizeBytes), span.offset);
      for (const [index, piece] of held.entries()) if (isWithin(span, piece)) verify(piece, index);
    });
    await Promise.all(reads);
    const wereRead = new Set(onDisk);
    for (const [index, piece] of held.entries()) if (!wereRead.has(piece)) verify(piece, index);
    const isBad = new Set(bad);
    this.#held[half] = held.filter((_, index) => !isBad.has(index));
    return bad;
  }

  #takeFromSnapshot({ from, at, sizeBytes }: Held, slab: Uint8Array): boolean {
    if (from + sizeBytes > this.#snapshot.length) return false;
    slab.set(this.#snapshot.subarray(from, from + sizeBytes), at);
    return true;
  }

  async #write(half: number): Promise<void> {
    const spans = (this.#held[half] ?? []).map(({ at, to, sizeBytes }) => ({ at, offset: to, sizeBytes }));
    await this.#put(this.#half(half), spans);
  }

  #half(half: number): Uint8Array {
    return this.#slab.subarray(half * halfBytes, (half + 1) * halfBytes);
  }

  /** To the target, but for the head, which is written in the end. */
  async #put(from: Uint8Array, spans: Span[]): Promise<void> {
    const isHead = ({ offset }: Span) => offset < this.#head.length;
    for (const { at, offset, sizeBytes } of spans.filter(isHead)) {
      this.#head.set(from.subarray(at, at + sizeBytes), offset);
    }
    const body = merged(
      spans.filter((span) => !isHead(span)),
      writeBytes,
    );
    await Promise.all(
      body.map(({ at, offset, sizeBytes }) =>
        writeTarget(this.#setup.target, from.subarray(at, at + sizeBytes), offset),
      ),
    );
  }
}

/** Joins neighbours that follow one another in memory and on the target, up to `limit` bytes. */
function merged(spans: Span[], limit: number): Span[] {
  const joined: Span[] = [];
  for (const span of spans) {
    const last = joined.at(-1);
    const follows =
      last && last.at + last.sizeBytes === span.at && last.offset + last.sizeBytes === span.offset;
    if (last && follows && last.sizeBytes + span.sizeBytes <= limit) last.sizeBytes += span.sizeBytes;
    else joined.push({ ...span });
  }
  return joined;
}
