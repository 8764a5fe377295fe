// Runs decisions one after another: decide, write, then act. What has come in while a write was under way is
// decided together and written with one sync.
import type { Logger } from "pino";
import type { WatchResponse } from "../../proto/gen/muster/v1/watch_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { Decision, type Effect } from "../domain/decision.ts";
import type { State } from "../domain/state.ts";
import { startNextGraphs } from "../domain/transitions.ts";
import { clockJumped } from "../domain/watchdog.ts";
import type { Store } from "../state/store.ts";
import { ClockWatch } from "./clock-watch.ts";

type Input = {
  decide: (decision: Decision) => unknown;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
};

export type EngineParts = {
  store: Store;
  /** Milliseconds since 1970; may be set while the daemon runs. */
  clock: () => number;
  /** Milliseconds that only run. */
  steady: () => number;
  log: Logger;
  /** Carries effects out; called after they are stored, must not throw. */
  act: (effects: readonly Effect[]) => void;
  publish: (changes: WatchResponse[]) => void;
  /** The state can no longer be written: nothing may be decided any more. */
  fatal: (error: Error) => void;
};

export class Engine {
  readonly #parts: EngineParts;
  readonly #clock: ClockWatch;
  #waiting: Input[] = [];
  #running: Promise<void> | undefined;
  #failed: Error | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#clock = new ClockWatch(parts.clock, parts.steady);
  }

  /** Read only; every change goes through decide(). */
  get state(): State {
    return this.#parts.store.state;
  }

  /**
   * Runs a decision; resolves with its value once its changes are stored. A decision that throws must do so
   * before it changes anything: then nothing is stored.
   */
  decide<T>(decide: (decision: Decision) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ decide, resolve: resolve as (value: unknown) => void, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when everything that was submitted is stored. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // Let everything that arrives in this turn of the loop share a batch.
    await Promise.resolve();
    while (this.#waiting.length) {
      // Before anything is measured from a time in the past.
      const jumpMs = this.#clock.jump();
      if (jumpMs) this.#waiting.unshift(clockInput(jumpMs));
      const inputs = this.#waiting;
      this.#waiting = [];
      await this.#runBatch(inputs);
    }
    this.#running = undefined;
  }

  async #runBatch(inputs: Input[]): Promise<void> {
    const { store, clock, act, publish, fatal } = this.#parts;
    const changes: WatchResponse[] = [];
    const effects: Effect[] = [];
    const decided: { input: Input; value: unknown }[] = [];
    let revision = store.revision;
    for (const input of inputs) {
      if (this.#failed) {
        input.reject(unavailable(this.#failed));
        continue;
      }
      const decision = new Decision(store.state, clock(), revision + 1n);
      try {
        const value = input.decide(decision);
        startNextGraphs(decision);
        decided.push({ input, value });
      } catch (error) {
        if (decision.changes.length) this.#failed = new Error("a decision failed half-way", { cause: error });
        input.reject(error);
        continue;
      }
      if (decision.changes.length) changes.push(...store.number(decision.changes, ++revision));
      effects.push(...decision.effects);
    }
    try {
      if (!this.#failed) await store.commit(changes);
    } catch (cause) {
      this.#failed = new Error(
        `the state cannot be written: ${cause instanceof Error ? cause.message : cause}`,
        {
          cause,
        },
      );
    }
    if (this.#failed) {
      for (const { input } of decided) input.reject(unavailable(this.#failed));
      return fatal(this.#failed);
    }
    for (const { input, value } of decided) input.resolve(value);
    publish(changes);
    act(effects);
  }
}

/** It may be stored or not; the same call again, when the daemon is back, finds out. */
function unavailable(cause: Error): RpcError {
  return new RpcError(codes.UNAVAILABLE, cause.message, { reason: "STATE_UNWRITABLE", cause });
}

function clockInput(jumpMs: number): Input {
  return { decide: (decision) => clockJumped(decision, jumpMs), resolve: () => {}, reject: () => {} };
}
