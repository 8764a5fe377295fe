// Buffers for chunks on their way to a socket, used again: a fresh one for each would keep the garbage collector
// busy, and have the kernel clear pages for every chunk.

/** What most chunks fit in, with a head; larger ones get a buffer of their own. */
const bufferBytes = (512 << 10) + 64;
const sparesMax = 64;

export class Buffers {
  readonly #spares: Buffer[] = [];

  take(bytes: number): Buffer {
    if (bytes > bufferBytes) return Buffer.allocUnsafeSlow(bytes);
    return (this.#spares.pop() ?? Buffer.allocUnsafeSlow(bufferBytes)).subarray(0, bytes);
  }

  /** Only what nobody reads any more. */
  give({ buffer }: Buffer): void {
    if (buffer.byteLength === bufferBytes && this.#spares.length < sparesMax)
      this.#spares.push(Buffer.from(buffer));
  }
}
