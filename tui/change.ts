// Calls that change something. Each has an id of its own: a call whose answer was lost on the way is made again
// with the same id, and the daemon does it once.
import { setTimeout as delay } from "node:timers/promises";
import { codes, RpcError } from "../proto/rpc/status.ts";

const pausesMs = [200, 1000];

export async function change<T>(call: (requestId: string) => Promise<T>): Promise<T> {
  const requestId = crypto.randomUUID();
  for (const pauseMs of pausesMs) {
    try {
      return await call(requestId);
    } catch (error) {
      if (!isLost(error)) throw error;
      await delay(pauseMs);
    }
  }
  return call(requestId);
}

/** The connection broke. What the daemon itself refuses as unavailable has a reason. */
function isLost(error: unknown): boolean {
  return error instanceof RpcError && error.code === codes.UNAVAILABLE && error.reason === "";
}
