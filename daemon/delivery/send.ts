// Sends a frame and waits until it is gone, so that a receiver that does not read costs one buffer, and that not
// for ever. A second one on its way would make a single stream no faster (the kernel's buffer is full anyway), and
// many streams half as fast: what is read from the files would no longer fit into the processor's cache.
import type { ServerHttp2Stream } from "node:http2";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Buffers } from "./buffers.ts";

/**
 * The frame is one of the buffers, and goes back there. Resolves when it is sent, or the call has ended; throws
 * ABORTED STALLED.
 */
export function send(
  stream: ServerHttp2Stream,
  buffers: Buffers,
  frame: Buffer,
  stallMs: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    // The reason goes behind what is on its way. Whoever does not read that either is cut off.
    const stalled = () => {
      timer = setTimeout(() => stream.close(), stallMs);
      reject(stalledError(stallMs));
    };
    let timer = setTimeout(stalled, stallMs);
    const closed = () => {
      clearTimeout(timer);
      resolve();
    };
    stream.once("close", closed);
    stream.write(frame, (error) => {
      clearTimeout(timer);
      stream.off("close", closed);
      // Nobody knows what becomes of a buffer whose sending has failed.
      if (!error) buffers.give(frame);
      resolve();
    });
  });
}

function stalledError(ms: number): RpcError {
  const message = `nothing was read for ${ms / 1000} s: fetch again what has not come`;
  return new RpcError(codes.ABORTED, message, { reason: "STALLED" });
}
