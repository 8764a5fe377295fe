// Calls to a daemon that may be away for a moment: what passes by itself is waited for, and nothing else.
import { setTimeout as delay } from "node:timers/promises";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { Backoff } from "./backoff.ts";

/** How long the daemon may be away before a step fails. */
export const patienceMs = 2 * 60_000;

/** Waits after failures that pass by themselves; throws the others, and those that have gone on too long. */
export class Tries {
  readonly #patienceMs: number;
  readonly #signal: AbortSignal;
  readonly #backoff = new Backoff();
  #failingSince: number | undefined;

  constructor(patienceMs: number, signal: AbortSignal) {
    this.#patienceMs = patienceMs;
    this.#signal = signal;
  }

  succeeded(): void {
    this.#failingSince = undefined;
    this.#backoff.reset();
  }

  async failed(error: unknown): Promise<void> {
    this.#signal.throwIfAborted();
    const now = performance.now();
    this.#failingSince ??= now;
    const passing = error instanceof RpcError && error.code === codes.UNAVAILABLE;
    if (!passing || now - this.#failingSince > this.#patienceMs) throw error;
    await delay(this.#backoff.next(), undefined, { signal: this.#signal });
  }
}
