// What all ways of getting chunks have in common. Lanes do without protobuf, which takes a tenth of a second to load.

/** A piece of a chunk's content, and where it goes. */
export type Run = { chunkOffset: number; offset: number; sizeBytes: number };

export type WantedChunk = {
  index: number;
  /** Hexadecimal sha256 of the stored bytes. */
  name: string;
  sizeBytes: number;
  storedBytes: number;
  /** With zstd; otherwise it is stored as it is. */
  isPacked: boolean;
  runs: Run[];
};

export type FetchRequest = {
  chunks: WantedChunk[];
  /** The same as a FetchChunksRequest of delivery.proto. */
  encoded: Uint8Array;
};

/** Takes the chunks of one request as they come. */
export type Sink = {
  /** Room for the content of a chunk; undefined while there is none. */
  room(): Uint8Array | undefined;
  /** Resolves when there may be room again. */
  roomAgain(): Promise<void>;
  /**
   * `room` goes back with it. `stored` is used no more when this returns, and may lie in `room` if it is stored as it is.
   * Throws SourceFault if it is not that chunk.
   */
  take(chunk: WantedChunk, stored: Uint8Array, room: Uint8Array): void;
  /** Room that was not needed after all. */
  giveBack(room: Uint8Array): void;
};

/** A connection to one source. Requests may overlap. */
export type Fetcher = {
  /** Resolves when the sink has all chunks; throws SourceFault. */
  fetch(request: FetchRequest, sink: Sink): Promise<void>;
  close(): void;
};

/** What a fetcher needs to know of a source. */
export type SourceAddress = {
  kind: "grpc" | "http" | "directory" | "unknown";
  address: string;
  ticket: string;
};

export async function roomIn(sink: Sink): Promise<Uint8Array> {
  for (;;) {
    const room = sink.room();
    if (room) return room;
    await sink.roomAgain();
  }
}
