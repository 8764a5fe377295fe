// The attempts that the daemon assigned: at most one runs, each runs once and none after a newer one, and every
// outcome is in the journal before anybody hears of it. Knows nothing of connections; what it has to say goes to
// the outbox.
import { create } from "@bufbuild/protobuf";
import {
  type Assign,
  type StepResult,
  StepResult_Outcome,
  StepResultSchema,
} from "../proto/gen/muster/v1/agent_pb.ts";
import { createWork, type Sources } from "./attempt-work.ts";
import type { Print } from "./console.ts";
import { announcesReboot, type Journal, type StartedAttempt } from "./journal.ts";
import type { Outbox } from "./outbox.ts";
import { doneWith, type Ending } from "./outcome.ts";
import { CommandError } from "./runner.ts";
import { type Catalogue, perform } from "./steps/perform.ts";
import type { Timers } from "./timers.ts";

export type AttemptsOptions = Sources & {
  journal: Journal;
  outbox: Outbox;
  catalogue: Catalogue;
  bootId: string;
  /** Reboots the machine, at once. */
  reboot(): Promise<void>;
  print: Print;
  timers: Timers;
  /** How long a reboot waits for the daemon to have its result. */
  rebootDelayMs?: number;
};

type Running = { assign: Assign; controller: AbortController; done: Promise<void> };

/** Why an attempt was aborted, as the reason of its step's signal. */
class Stopped extends Error {
  readonly outcome: StepResult_Outcome;

  constructor(outcome: StepResult_Outcome, message: string) {
    super(message);
    this.outcome = outcome;
  }
}

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

  /** The highest that was ever assigned to this agent. */
  get highestFence(): bigint {
    return this.#options.journal.highestFence;
  }

  assign(assign: Assign): void {
    const { journal, outbox, bootId, print } = this.#options;
    const { token, step, fence } = assign;
    if (journal.has(assign)) {
      const known = journal.resultOf(assign);
      if (known) outbox.result({ ...known, fence });
      return;
    }
    const attempt = { token, fence, step, kind: kindOf(assign), bootId };
    if (fence < journal.highestFence) {
      const older = `an older attempt: its fence is ${fence}, and this agent has seen ${journal.highestFence}`;
      this.#refuse(attempt, failure(`${older}; retry the step to get a new attempt`));
      return;
    }
    const busy = this.#running?.assign.step;
    if (busy !== undefined) {
      const reason = `the node is still running ${busy}; cancel that step or wait for it`;
      this.#refuse(attempt, failure(reason));
      return;
    }
    try {
      journal.start(attempt);
    } catch (error) {
      this.#refuse(attempt, failure(error instanceof Error ? error.message : String(error)));
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
    const known = journal.newest(token);
    const result = known && journal.resultOf(known);
    if (result) outbox.result(result);
    else if (this.#running?.assign.token === token) {
      this.#running.controller.abort(new Stopped(StepResult_Outcome.CANCELLED, "the step was cancelled"));
    } else if (!known) {
      const reason = "the step was cancelled before it started";
      this.#refuse(
        { token, fence: 0n, step: "", kind: "", bootId },
        { outcome: StepResult_Outcome.CANCELLED, reason, exitCode: -1 },
      );
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
    const { timers, outbox, print } = this.#options;
    const { token } = assign;
    const kind = assign.action?.kind;
    const limitMs = assign.timeout
      ? Number(assign.timeout.seconds) * 1000 + assign.timeout.nanos / 1e6
      : Infinity;
    const work = createWork(assign, controller.signal, outbox, this.#options);
    const stop = () => {
      const reason = `the step took longer than its limit of ${limitMs / 1000} s and was stopped`;
      const doing = work.doing.describe();
      controller.abort(new Stopped(StepResult_Outcome.FAILED, doing ? `${reason}; ${doing}` : reason));
    };
    const takeBack = timers.after(limitMs, stop);
    let ending: Ending;
    try {
      if (!kind?.case)
        throw new Error("this agent does not know the kind of the step; update the agent's image");
      const done = await perform(this.#options.catalogue, kind, work.context);
      ending = { outcome: StepResult_Outcome.SUCCEEDED, ...doneWith(done, work.redactor) };
    } catch (error) {
      const { reason, ...rest } = outcomeOf(error, controller.signal);
      ending = { ...rest, reason: work.redactor.text(reason) };
      outbox.log(token, ending.reason ?? "");
    }
    takeBack();
    this.#running = undefined;
    const result = this.#settle(assign, { ...ending, erasures: work.erasures });
    print(`${assign.step}: ${ending.result ?? `failed: ${ending.reason}`}`);
    if (announcesReboot(kindOf(assign), result)) this.#rebootSoon(token);
  }

  #settle({ token, fence }: Assign, ending: Ending): StepResult {
    const { journal, outbox, print } = this.#options;
    const logBytes = BigInt(outbox.logs.finish(token));
    const result = create(StepResultSchema, { ...ending, token, fence, logBytes });
    if (!journal.finish(result)) print(`the outcome of ${token} cannot be written to the journal`);
    outbox.result(result);
    return result;
  }

  #refuse(attempt: StartedAttempt, ending: Ending): void {
    const { token, fence } = attempt;
    const result = create(StepResultSchema, { ...ending, token, fence });
    this.#options.journal.refuse(attempt, result);
    this.#options.outbox.result(result);
  }

  #rebootSoon(token: string): void {
    const { reboot, rebootDelayMs = 3_000, print, timers } = this.#options;
    const start = () => {
      takeBack();
      this.#reboot = undefined;
      reboot().catch((error: Error) =>
        print(`the reboot failed: ${error.message}; reset the machine by its power`),
      );
    };
    const takeBack = timers.after(rebootDelayMs, start);
    this.#reboot = { token, start };
  }
}

/** For the journal: a check is no step of its kind, as it does nothing. */
function kindOf({ action, check }: Assign): string {
  return check ? "check" : (action?.kind.case ?? "");
}

type Failure = Ending & { reason: string };

function failure(reason: string, exitCode = -1): Failure {
  return { outcome: StepResult_Outcome.FAILED, reason, exitCode };
}

/** A step that ends because it was stopped has the outcome of whoever stopped it. */
function outcomeOf(error: unknown, signal: AbortSignal): Failure {
  if (signal.aborted && signal.reason instanceof Stopped) {
    return { outcome: signal.reason.outcome, reason: signal.reason.message, exitCode: -1 };
  }
  if (error instanceof CommandError) return failure(error.message, error.code);
  return failure(error instanceof Error ? error.message : String(error));
}
