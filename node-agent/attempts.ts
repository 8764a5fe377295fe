// The attempts that the daemon assigned: at most one runs, each token runs once, and every outcome is in the
// journal before anybody hears of it. Knows nothing of connections; what it has to say goes to the outbox.
import { create } from "@bufbuild/protobuf";
import {
  type Assign,
  type StepResult,
  StepResult_Outcome,
  StepResultSchema,
} from "../proto/gen/muster/v1/agent_pb.ts";
import type { Print } from "./console.ts";
import type { Journal } from "./journal.ts";
import type { Outbox } from "./outbox.ts";
import { CommandError, createRunner } from "./runner.ts";
import type { Identity, ImageSource, StepContext, StepReport } from "./step.ts";
import { type Catalogue, perform } from "./steps/perform.ts";

export type AttemptsOptions = {
  journal: Journal;
  outbox: Outbox;
  catalogue: Catalogue;
  images: ImageSource;
  identity: Identity;
  bootId: string;
  /** Reboots the machine, at once. */
  reboot(): Promise<void>;
  print: Print;
  /** How long a reboot waits for the daemon to have its result. */
  rebootDelayMs?: number;
};

/** A result without its token. */
type Ending = { outcome: StepResult_Outcome; reason?: string; exitCode?: number; result?: string };
type Running = { assign: Assign; controller: AbortController; done: Promise<void> };

/** Why an attempt was aborted, as the reason of its step's signal. */
class Stopped extends Error {
  readonly outcome: StepResult_Outcome;

  constructor(outcome: StepResult_Outcome, message: string) {
    super(message);
    this.outcome = outcome;
  }
}

const longestTimerMs = 2 ** 31 - 1;

export class Attempts {
  readonly #options: AttemptsOptions;
  #running: Running | undefined;
  #reboot: { token: string; start(): void } | undefined;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    for (const { token } of options.journal.settleOrphans(options.bootId)) {
      options.print(`attempt ${token} was interrupted by a restart of the agent`);
    }
    const missed = options.journal.missedReboot(options.bootId);
    if (missed !== undefined) this.#rebootSoon(missed);
  }

  get running(): string[] {
    return this.#running ? [this.#running.assign.token] : [];
  }

  /** Outcomes that the daemon has not acknowledged. */
  get finished(): StepResult[] {
    return this.#options.journal.unacknowledged();
  }

  assign(assign: Assign): void {
    const { journal, outbox, bootId, print } = this.#options;
    const { token, step } = assign;
    if (journal.has(token)) {
      const known = journal.resultOf(token);
      if (known) outbox.result(known);
      return;
    }
    const kind = assign.action?.kind.case ?? "";
    journal.start({ token, step, kind, bootId });
    const busy = this.#running?.assign.step;
    if (busy !== undefined) {
      this.#settle(token, failure(`the node is still running ${busy}; cancel that step or wait for it`));
      return;
    }
    print(`${step}: attempt ${assign.attempt} starts`);
    const running = { assign, controller: new AbortController(), done: Promise.resolve() };
    this.#running = running;
    running.done = this.#run(running);
  }

  /** A token that was never seen is settled too, so that a late assignment does not run. */
  cancel(token: string): void {
    const { journal, outbox, bootId } = this.#options;
    const known = journal.resultOf(token);
    if (known) outbox.result(known);
    else if (this.#running?.assign.token === token) {
      this.#running.controller.abort(new Stopped(StepResult_Outcome.CANCELLED, "the step was cancelled"));
    } else if (!journal.has(token)) {
      journal.start({ token, step: "", kind: "", bootId });
      const reason = "the step was cancelled before it started";
      this.#settle(token, { outcome: StepResult_Outcome.CANCELLED, reason, exitCode: -1 });
    }
  }

  acknowledge(token: string): void {
    this.#options.journal.acknowledge(token);
    if (this.#reboot?.token === token) this.#reboot.start();
  }

  /** Stops the running step because the agent ends; its outcome is in the journal when this returns. */
  async stop(): Promise<void> {
    this.#running?.controller.abort(
      new Stopped(StepResult_Outcome.FAILED, "the agent was stopped while the step ran; run the step again"),
    );
    await this.#running?.done;
  }

  async #run({ assign, controller }: Running): Promise<void> {
    const { token } = assign;
    const kind = assign.action?.kind;
    const limitMs = assign.timeout
      ? Number(assign.timeout.seconds) * 1000 + assign.timeout.nanos / 1e6
      : Infinity;
    const reason = `the step took longer than its limit of ${limitMs / 1000} s and was stopped`;
    const stop = () => controller.abort(new Stopped(StepResult_Outcome.FAILED, reason));
    const timer = limitMs <= longestTimerMs ? setTimeout(stop, limitMs) : undefined;
    let result: Ending;
    try {
      if (!kind?.case)
        throw new Error("this agent does not know the kind of the step; update the agent's image");
      const text = await perform(this.#options.catalogue, kind, this.#context(assign, controller.signal));
      result = { outcome: StepResult_Outcome.SUCCEEDED, result: text };
    } catch (error) {
      result = outcomeOf(error, controller.signal);
      this.#options.outbox.log(token, result.reason ?? "");
    }
    clearTimeout(timer);
    this.#running = undefined;
    this.#settle(token, result);
    this.#options.print(`${assign.step}: ${result.result ?? `failed: ${result.reason}`}`);
    if (kind?.case === "reboot" && result.outcome === StepResult_Outcome.SUCCEEDED) this.#rebootSoon(token);
  }

  #context(assign: Assign, signal: AbortSignal): StepContext {
    const { outbox, images, identity } = this.#options;
    const log = (line: string) => outbox.log(assign.token, line);
    const run = createRunner(log);
    const report: StepReport = {
      currentBytes: 0n,
      totalBytes: 0n,
      movedBytes: 0n,
      skippedBytes: 0n,
      activity: "",
    };
    return {
      run: (argv, options) => run(argv, { signal, ...options }),
      log,
      progress: (change) => outbox.progress(assign.token, Object.assign(report, change)),
      signal,
      attempt: assign.attempt,
      images,
      identity,
    };
  }

  #settle(token: string, result: Ending): void {
    const { journal, outbox } = this.#options;
    const stored = journal.finish(create(StepResultSchema, { ...result, token }));
    outbox.logs.finish(token);
    outbox.result(stored);
  }

  #rebootSoon(token: string): void {
    const { reboot, rebootDelayMs = 3_000, print } = this.#options;
    const start = () => {
      clearTimeout(timer);
      this.#reboot = undefined;
      reboot().catch((error: Error) =>
        print(`the reboot failed: ${error.message}; reset the machine by its power`),
      );
    };
    const timer = setTimeout(start, rebootDelayMs);
    this.#reboot = { token, start };
  }
}

function failure(reason: string, exitCode = -1): Ending {
  return { outcome: StepResult_Outcome.FAILED, reason, exitCode };
}

/** A step that ends because it was stopped has the outcome of whoever stopped it. */
function outcomeOf(error: unknown, signal: AbortSignal): Ending {
  if (signal.aborted && signal.reason instanceof Stopped) {
    return { outcome: signal.reason.outcome, reason: signal.reason.message, exitCode: -1 };
  }
  if (error instanceof CommandError) return failure(error.message, error.code);
  return failure(error instanceof Error ? error.message : String(error));
}
