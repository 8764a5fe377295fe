// What `muster image` ends with: the same exit codes as every other verb.
import { CommanderError } from "commander";
import { codes, RpcError } from "../proto/rpc/status.ts";

/** The operator's input cannot be used. */
export class RefusedError extends Error {
  override name = "RefusedError";
}

export class NoDaemonError extends Error {
  override name = "NoDaemonError";
}

const refusals: number[] = [codes.INVALID_ARGUMENT, codes.NOT_FOUND, codes.FAILED_PRECONDITION];

/** 0 done (a help that was asked for), 1 failed, 2 bad input or refused, 3 daemon not reachable. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof NoDaemonError) return 3;
  if (error instanceof RefusedError) return 2;
  return error instanceof RpcError && refusals.includes(error.code) ? 2 : 1;
}
