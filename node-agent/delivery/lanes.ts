// The lanes, seen from the main thread.
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { SourceFault } from "./faults.ts";
import type { LaneAnswer, LaneOrder, LaneSetup, LaneTask } from "./lane-protocol.ts";

// V8 counts what is received and decoded as garbage in the making, and marks the whole heap after every 16 MiB of it:
// a quarter of the processor's time went there. It now waits for more; the lanes' heaps have a limit of their own.
setFlagsFromString("--heap-growing-percent=1000");

/** As many as there are processors, and no more than one disk can use. */
export const lanesByDefault = Math.min(4, availableParallelism());
/** Tasks that a lane has at once: while one waits for the disk or the network, the other has the processor. */
export const tasksPerLane = 2;

/** The agent is bundled into one file, which is the program of its threads, too (see node-agent/main.ts). */
const program = import.meta.filename.endsWith(".ts")
  ? new URL("./lane-main.ts", import.meta.url)
  : new URL(import.meta.url);

/** Lanes make little garbage, and would keep 48 MiB of it. */
const resourceLimits = { maxYoungGenerationSizeMb: 6, maxOldGenerationSizeMb: 64 };

type Asked = { resolve(bad: number[]): void; reject(error: unknown): void; onPlaced(chunk: number): void };

/** Does one task after another on one lane; `slot` counts the tasks that a lane has at once. */
export type Ask = (task: LaneTask, onPlaced?: (chunk: number) => void) => Promise<number[]>;

export class Lanes implements AsyncDisposable {
  readonly #lanes: LaneHandle[];
  readonly #signal: AbortSignal;
  readonly #onAbort = () => {
    for (const lane of this.#lanes) lane.break(this.#signal.reason);
  };

  /** Aborted, it stops waiting for whatever it waits for. */
  constructor(count: number, setup: LaneSetup, signal: AbortSignal) {
    this.#lanes = Array.from({ length: count }, () => new LaneHandle(setup));
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort);
  }

  /** Runs `work` for every slot of every lane, and ends with the first failure or when all have ended. */
  async all(work: (ask: Ask, slot: number) => Promise<void>): Promise<void> {
    const slots = [...Array(tasksPerLane).keys()];
    await Promise.all(
      this.#lanes.flatMap((lane) =>
        slots.map((slot) => work((task, onPlaced) => lane.ask(task, onPlaced), slot)),
      ),
    );
  }

  /** What was being written has been written, or failed to be, when this returns. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener("abort", this.#onAbort);
    await Promise.all(this.#lanes.map((lane) => lane.stop()));
  }
}

class LaneHandle {
  readonly #worker: Worker;
  readonly #asked = new Map<number, Asked>();
  #nextId = 0;
  #broken: Error | undefined;

  constructor(setup: LaneSetup) {
    this.#worker = new Worker(program, { workerData: setup, resourceLimits });
    this.#worker.on("message", (answer: LaneAnswer) => this.#answered(answer));
    this.#worker.on("error", (error) => this.break(error));
    this.#worker.on("exit", () => this.break(new Error("a thread of the agent has ended. Retry the step.")));
  }

  ask(task: LaneTask, onPlaced: (chunk: number) => void = () => {}): Promise<number[]> {
    return new Promise((resolve, reject) => {
      if (this.#broken) return reject(this.#broken);
      const order: LaneOrder = { id: this.#nextId++, task };
      this.#asked.set(order.id, { resolve, reject, onPlaced });
      this.#worker.postMessage(order);
    });
  }

  async stop(): Promise<void> {
    this.#broken ??= new Error("the delivery has ended");
    await this.#worker.terminate();
  }

  #answered(answer: LaneAnswer): void {
    const asked = this.#asked.get(answer.id);
    if (!asked) return;
    if (answer.kind === "placed") {
      asked.onPlaced(answer.chunk);
      return;
    }
    this.#asked.delete(answer.id);
    if (answer.kind === "done") asked.resolve(answer.bad);
    else if (answer.kind === "fault") asked.reject(new SourceFault(answer.fault));
    else asked.reject(new Error(answer.message));
  }

  /** Nothing more comes of it. */
  break(error: unknown): void {
    this.#broken ??= error instanceof Error ? error : new Error(String(error));
    for (const { reject } of this.#asked.values()) reject(this.#broken);
    this.#asked.clear();
  }
}
