// What the main thread and its lanes say to each other. Digests go as hexadecimal: a view of a manifest's bytes
// would take the whole manifest along.
import type { Fault } from "./faults.ts";
import type { FetchRequest, SourceAddress } from "./fetcher.ts";
import type { Target } from "./target.ts";

export type LaneSetup = {
  target: Target;
  /** What the target begins with in the end. Shared by all threads. */
  head: Uint8Array;
  /** What it began with. Shared by all threads. */
  snapshot: Uint8Array;
  /** Room for the largest chunk, and a byte for the decoder. */
  roomBytes: number;
};

/** Content that may lie at `from`, and belongs to `to`; the same when it is only looked for. */
export type Piece = { from: number; to: number; sizeBytes: number; digest: string };

export type LaneTask =
  | { kind: "fetch"; source: SourceAddress; request: FetchRequest }
  /**
   * Reads into half (0 or 1) of the lane's memory and answers which pieces (by index) are not what they should be.
   * `fromDisk`: what the disk has now; otherwise its beginning as it was.
   */
  | { kind: "read"; half: number; pieces: Piece[]; fromDisk: boolean }
  /** Writes those that are. */
  | { kind: "write"; half: number };

export type LaneOrder = { id: number; task: LaneTask };

export type LaneAnswer =
  /** One chunk of a fetch is on the disk. */
  | { id: number; kind: "placed"; chunk: number }
  | { id: number; kind: "done"; bad: number[] }
  /** The source failed. */
  | { id: number; kind: "fault"; fault: Fault }
  /** Nothing else can help. */
  | { id: number; kind: "failed"; message: string };

/** Memory of one lane for content on its way; half of it holds the largest chunk. */
export const slabBytes = 16 << 20;
export const halfBytes = slabBytes / 2;
