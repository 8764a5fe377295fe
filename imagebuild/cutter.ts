// Cuts an image into extents: runs of content whose ends follow the content, so that the same file somewhere
// else in another version of the image gives the same extents. Pure: what is done with an extent is for the
// caller. docs/image-format.md has the reasons and figures.
import { crc32 } from "node:zlib";

export type BlockBytes = 512 | 4096;
export type Range = { offset: number; size: number };

export const extentBytesMin = 16 << 10;
export const extentBytesMax = 256 << 10;

/** An extent ends after a block whose crc32 has none of these bits: in the mean every 64 KiB. */
const cutMask: Record<BlockBytes, number> = { 512: 127, 4096: 15 };

/** Fewer zeros than this between content are content: the 512-byte blocks of a tar would be cut to pieces. */
const zerosMin = 4096;

/** Zeros are looked for in steps of this size before a block is looked at by itself. */
const strideBytes = 64 << 10;
const noughts = Buffer.alloc(strideBytes);

/** What a cutter was told, in order of offset: content (content that is zero included), zeros, holes. */
export class Cutter {
  /** What must read as zeros, in order of offset, none adjacent to the next. */
  readonly zeros: Range[] = [];
  readonly #blockBytes: number;
  readonly #mask: number;
  readonly #zeroSum: number;
  readonly #emit: (offset: number, content: Buffer) => void;
  #position = 0;
  /** Of the extent that has begun; 0 if none has. */
  #size = 0;
  /** Zeros after it that may still become a part of it. */
  #pending = 0;
  /** What earlier calls brought of it and its pending zeros. */
  readonly #carried = Buffer.alloc(extentBytesMax + zerosMin);
  #carriedBytes = 0;
  /** Where the rest of it begins in the content at hand. */
  #from = 0;

  /** `emit`: gets each extent; the content is only good until it returns. */
  constructor(blockBytes: BlockBytes, emit: (offset: number, content: Buffer) => void) {
    this.#blockBytes = blockBytes;
    this.#mask = cutMask[blockBytes];
    this.#zeroSum = crc32(noughts.subarray(0, blockBytes));
    this.#emit = emit;
  }

  get position(): number {
    return this.#position;
  }

  /** The content that follows. Only the last of an image may end within a block. */
  data(content: Buffer): void {
    this.#from = 0;
    let at = 0;
    while (at < content.length) {
      if (at + strideBytes <= content.length && noughts.compare(content, at, at + strideBytes) === 0) {
        this.#zeros(content, strideBytes);
        at += strideBytes;
        continue;
      }
      const end = Math.min(at + strideBytes, content.length);
      for (; at < end; at += this.#blockBytes) this.#block(content, at);
    }
    if (this.#size > 0) this.#carry(content);
  }

  /** Zeros that nobody needs to show. */
  zero(size: number): void {
    this.#close(noughts);
    this.#addZeros(size);
  }

  /** What may be left as it is on the target. */
  hole(size: number): void {
    this.#close(noughts);
    this.#position += size;
  }

  /** Emits what has begun. */
  end(): void {
    this.#close(noughts);
  }

  #block(content: Buffer, at: number): void {
    const end = Math.min(at + this.#blockBytes, content.length);
    const size = end - at;
    const sum = crc32(content.subarray(at, end));
    // A sum is no proof, and the last block may be short.
    const mayBeZero = sum === this.#zeroSum || size < this.#blockBytes;
    if (mayBeZero && content.compare(noughts, 0, size, at, end) === 0) {
      this.#zeros(content, size);
      return;
    }
    if (this.#size > 0 && this.#size + this.#pending + size > extentBytesMax) this.#close(content);
    if (this.#size === 0) this.#from = at;
    this.#size += this.#pending + size;
    this.#pending = 0;
    this.#position += size;
    if (this.#size === extentBytesMax || (this.#size >= extentBytesMin && (sum & this.#mask) === 0)) {
      this.#close(content);
    }
  }

  #zeros(content: Buffer, size: number): void {
    if (this.#size > 0 && this.#pending + size < zerosMin) {
      this.#pending += size;
      this.#position += size;
      return;
    }
    this.#close(content);
    this.#addZeros(size);
  }

  /** Ends the extent that has begun, if one has; `content` has the rest of it. */
  #close(content: Buffer): void {
    if (this.#size === 0) return;
    const offset = this.#position - this.#pending - this.#size;
    if (this.#carriedBytes === 0) {
      this.#emit(offset, content.subarray(this.#from, this.#from + this.#size));
    } else {
      const rest = Math.max(0, this.#size - this.#carriedBytes);
      content.copy(this.#carried, this.#carriedBytes, 0, rest);
      this.#emit(offset, this.#carried.subarray(0, this.#size));
    }
    const zeros = this.#pending;
    this.#size = 0;
    this.#pending = 0;
    this.#carriedBytes = 0;
    this.#position -= zeros;
    this.#addZeros(zeros);
  }

  #carry(content: Buffer): void {
    const from = this.#carriedBytes > 0 ? 0 : this.#from;
    this.#carriedBytes += content.copy(this.#carried, this.#carriedBytes, from, content.length);
  }

  #addZeros(size: number): void {
    if (size === 0) return;
    const last = this.zeros.at(-1);
    if (last && last.offset + last.size === this.#position) last.size += size;
    else this.zeros.push({ offset: this.#position, size });
    this.#position += size;
  }
}
