// What the agent has to say to the daemon, as a stream that is pulled: the transport's pace decides when the
// next message is chosen, so nothing queues up behind logs. Results wait only for their own log's window.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SessionRequestSchema, StepResult } from "../proto/gen/muster/v1/agent_pb.ts";
import { LogBook } from "./logs.ts";
import type { StepReport } from "./step.ts";

export type Outgoing = MessageInitShape<typeof SessionRequestSchema>;

const progressIntervalMs = 250;

export class Outbox {
  readonly logs = new LogBook();
  #urgent: Outgoing[] = [];
  #heartbeatDue = false;
  #results: StepResult[] = [];
  #progress: (StepReport & { token: string }) | undefined;
  #progressSentAt = 0;
  #wake: (() => void) | undefined;

  /** A new session begins with these; its hello has all results, and the logs start where they were stored. */
  begin(first: Outgoing[]): void {
    this.#urgent = first;
    this.#heartbeatDue = false;
    this.#results = [];
    this.logs.rewind();
    this.wake();
  }

  send(message: Outgoing): void {
    this.#urgent.push(message);
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

  /** The latest wins. */
  progress(token: string, report: StepReport): void {
    this.#progress = { token, ...report };
    this.wake();
  }

  result(result: StepResult): void {
    if (this.#progress?.token === result.token) this.#progress = undefined;
    this.#results.push(result);
    this.wake();
  }

  ackLog(token: string, offset: number): void {
    this.logs.ack(token, offset);
    this.wake();
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
    const urgent = this.#urgent.shift();
    if (urgent) return urgent;
    if (this.#heartbeatDue) {
      this.#heartbeatDue = false;
      return { message: { case: "heartbeat", value: {} } };
    }
    const chunk = this.logs.next();
    if (chunk) return { message: { case: "log", value: { ...chunk, offset: BigInt(chunk.offset) } } };
    const result = this.#results.shift();
    if (result) return { message: { case: "result", value: result } };
    const progress = this.#progress;
    if (!progress || this.#progressWaitMs() > 0) return undefined;
    this.#progress = undefined;
    this.#progressSentAt = performance.now();
    return { message: { case: "progress", value: progress } };
  }

  async #woken(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#progress) timer = setTimeout(resolve, this.#progressWaitMs() + 1);
    });
    clearTimeout(timer);
  }

  #progressWaitMs(): number {
    return this.#progressSentAt ? this.#progressSentAt + progressIntervalMs - performance.now() : 0;
  }
}
