// What the agent has to say to the daemon, as a stream that is pulled: the transport's pace decides when the
// next message is chosen, so nothing queues up behind logs. Results wait only for their own log's window.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SessionRequestSchema, StepResult } from "../proto/gen/muster/v1/agent_pb.ts";
import type { Inventory } from "../proto/gen/muster/v1/inventory_pb.ts";
import { LogBook } from "./logs.ts";
import type { StepReport } from "./step.ts";
import type { Timers } from "./timers.ts";

export type Outgoing = MessageInitShape<typeof SessionRequestSchema>;

const progressIntervalMs = 250;
/** How long programs wait for a daemon that takes no logs. After that they go on, and lines may be dropped. */
const roomPatienceMs = 60_000;
/** Results that wait to be sent; the oldest beyond it are left to the next hello, which has all of them. */
const resultLimit = 256;

/**
 * Bounded: two first messages, one heartbeat, one progress, `resultLimit` results, and the log book's few
 * megabytes of each log.
 */
export class Outbox {
  readonly logs = new LogBook();
  readonly #timers: Timers;
  #hello: Outgoing | undefined;
  #inventory: Inventory | undefined;
  #commands: { next(): Outgoing | undefined } | undefined;
  #heartbeatDue = false;
  #results = new Map<string, StepResult>();
  #progress: (StepReport & { token: string }) | undefined;
  #progressSentAt = -progressIntervalMs;
  #wake: (() => void) | undefined;
  #waiters = new Set<() => void>();
  /** Since when somebody waits for room without any being made. */
  #crowdedSince: number | undefined;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** How much waits: messages that are to be sent, and logs that are not stored. */
  get waiting(): number {
    const first = [this.#hello, this.#inventory].filter((message) => message !== undefined);
    return first.length + this.#results.size + this.logs.size;
  }

  /**
   * A new session begins with its hello, which has all results; the logs start where they were stored. `commands` has
   * what the session's own commands say.
   */
  begin(hello: Outgoing, commands?: { next(): Outgoing | undefined }): void {
    this.#hello = hello;
    this.#commands = commands;
    this.#inventory = undefined;
    this.#heartbeatDue = false;
    this.#results.clear();
    this.logs.rewind();
    this.wake();
  }

  /** The latest wins. */
  inventory(report: Inventory): void {
    this.#inventory = report;
    this.wake();
  }

  /** Beats that were not sent in time become one. */
  heartbeat(): void {
    this.#heartbeatDue = true;
    this.wake();
  }

  log(token: string, line: string): void {
    this.logs.append(token, line);
    this.wake();
  }

  /**
   * Whole lines with their ends, of a program that can be made to wait: resolves when the log has room again, and is
   * undefined if it has.
   */
  output(token: string, text: string): Promise<void> | undefined {
    this.logs.write(token, text);
    this.wake();
    return this.logs.crowded(token) ? this.#room(token) : undefined;
  }

  /** The latest wins. */
  progress(token: string, report: StepReport): void {
    this.#progress = { token, ...report };
    this.wake();
  }

  result(result: StepResult): void {
    if (this.#progress?.token === result.token) this.#progress = undefined;
    this.#results.set(`${result.token}@${result.fence}`, result);
    const [oldest] = this.#results.keys();
    if (oldest !== undefined && this.#results.size > resultLimit) this.#results.delete(oldest);
    this.wake();
  }

  ackLog(token: string, offset: number): void {
    this.logs.ack(token, offset);
    this.#crowdedSince = undefined;
    this.wake();
    for (const goOn of this.#waiters) goOn();
  }

  async #room(token: string): Promise<void> {
    while (this.logs.crowded(token)) {
      this.#crowdedSince ??= this.#timers.now();
      const patienceMs = this.#crowdedSince + roomPatienceMs - this.#timers.now();
      if (patienceMs <= 0) return;
      await this.#acknowledged(patienceMs);
    }
  }

  /** Returns when the daemon has stored some of a log, or after that time. */
  #acknowledged(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        cancel();
        this.#waiters.delete(done);
        resolve();
      };
      const cancel = this.#timers.after(atMostMs, done);
      this.#waiters.add(done);
    });
  }

  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** The messages of one session, until the signal is aborted. */
  async *stream(signal: AbortSignal): AsyncGenerator<Outgoing> {
    signal.addEventListener("abort", () => this.wake(), { once: true });
    while (!signal.aborted) {
      const message = this.#next();
      if (message) yield message;
      else await this.#woken();
    }
  }

  #next(): Outgoing | undefined {
    const hello = this.#hello;
    this.#hello = undefined;
    if (hello) return hello;
    if (this.#heartbeatDue) {
      this.#heartbeatDue = false;
      return { message: { case: "heartbeat", value: {} } };
    }
    const inventory = this.#inventory;
    this.#inventory = undefined;
    if (inventory) return { message: { case: "inventory", value: inventory } };
    const command = this.#commands?.next();
    if (command) return command;
    const chunk = this.logs.next();
    if (chunk) return { message: { case: "log", value: { ...chunk, offset: BigInt(chunk.offset) } } };
    for (const [key, value] of this.#results) {
      this.#results.delete(key);
      return { message: { case: "result", value } };
    }
    const progress = this.#progress;
    if (!progress || this.#progressWaitMs() > 0) return undefined;
    this.#progress = undefined;
    this.#progressSentAt = this.#timers.now();
    return { message: { case: "progress", value: progress } };
  }

  async #woken(): Promise<void> {
    let cancel: (() => void) | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#progress) cancel = this.#timers.after(Math.max(0, this.#progressWaitMs()) + 1, resolve);
    });
    cancel?.();
  }

  #progressWaitMs(): number {
    return this.#progressSentAt + progressIntervalMs - this.#timers.now();
  }
}
