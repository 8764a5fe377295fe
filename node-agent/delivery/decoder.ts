// Decodes zstd straight to where the content is written from.
//
// node's own zstdDecompressSync makes a decoder and a buffer for every chunk: measured, 1.5 s of processor time for a
// GiB of content and as much memory to clear away, where this takes 0.9 s. So the handle beneath node's stream is used,
// which is no promise of node's; where it is not what it was (decoder.test.ts would say so) the slow way is taken.
import { constants, createZstdDecompress, zstdDecompressSync } from "node:zlib";

/** What is in a stream of node 26. */
type Inner = {
  _handle: {
    reset(): void;
    writeSync(
      flush: number,
      input: Uint8Array,
      inputOffset: number,
      inputBytes: number,
      output: Uint8Array,
      outputOffset: number,
      outputBytes: number,
    ): void;
  };
  /** Bytes that are left: of the output, of the input. */
  _writeState: Uint32Array;
};

/** The smallest that node takes for the size of an output buffer. */
const smallestOutput = 64;

export class Decoder {
  #inner = openInner();

  /** Whether it is the fast one. */
  get isDirect(): boolean {
    return this.#inner !== undefined;
  }

  /**
   * Puts the content into `output`, which may not overlap `input`. Throws unless it is exactly `sizeBytes`, for which
   * `output` has to have one byte more.
   */
  decode(input: Uint8Array, output: Uint8Array, sizeBytes: number): void {
    if (this.#inner && output.length > sizeBytes && this.#decodeInto(this.#inner, input, output, sizeBytes))
      return;
    const options = { chunkSize: Math.max(sizeBytes, smallestOutput), maxOutputLength: sizeBytes + 1 };
    const content = zstdDecompressSync(input, options);
    if (content.length !== sizeBytes) throw new Error(`it has ${content.length} bytes of content`);
    output.set(content);
  }

  #decodeInto(inner: Inner, input: Uint8Array, output: Uint8Array, sizeBytes: number): boolean {
    inner._handle.reset();
    inner._handle.writeSync(constants.ZSTD_e_end, input, 0, input.length, output, 0, sizeBytes + 1);
    if (inner._writeState[0] === 1 && inner._writeState[1] === 0) return true;
    // It may be of no use after an error.
    this.#inner = openInner();
    return false;
  }
}

function openInner(): Inner | undefined {
  const stream = createZstdDecompress();
  stream.on("error", () => {}); // it is told by _writeState
  if (!("_handle" in stream) || !("_writeState" in stream)) return undefined;
  const { _handle: handle, _writeState: state } = stream;
  const isUsable =
    typeof handle === "object" &&
    handle !== null &&
    "writeSync" in handle &&
    "reset" in handle &&
    state instanceof Uint32Array;
  return isUsable ? (stream as typeof stream & Inner) : undefined;
}
