// Which attempts this agent has started and how they ended, on disk before the daemon hears of it: what makes
// a destructive step happen once. One entry per attempt, which is a token and its fence.
import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type StepResult, StepResult_Outcome, StepResultSchema } from "../proto/gen/muster/v1/agent_pb.ts";
import { TaskOutcome } from "../proto/gen/muster/v1/step_pb.ts";
import type { JournalDisk } from "./journal-files.ts";

type AttemptKey = { token: string; fence: bigint };

export type StartedAttempt = AttemptKey & {
  /** For people: `DEPLOYMENT/NODE/TASK`. */
  step: string;
  kind: string;
  bootId: string;
};

/** `order`: of its start; clocks jump. */
type Entry = StartedAttempt & { order: number; result?: StepResult; acknowledged: boolean };

/** An attempt is remembered after its acknowledgement, so that a late second assignment does not run it again. */
const acknowledgedLimit = 256;
const suffix = ".json";
/** Kinds of steps that start the machine anew. */
const reboots = ["reboot", "restart"];

/** Kinds that change nothing: done twice, they do no harm, and so a crash may forget them. */
const harmless = ["noop", "waitFor"];

/** Whether the machine goes down after such a result: a task may have found that it need not. */
export function announcesReboot(kind: string, { outcome, taskOutcome }: StepResult): boolean {
  return reboots.includes(kind) && outcome === StepResult_Outcome.SUCCEEDED && taskOutcome !== TaskOutcome.OK;
}

export class Journal {
  readonly #disk: JournalDisk;
  /** By name of their file. */
  #entries = new Map<string, Entry>();
  #order = 0;
  /** With the highest fence. */
  #highest: Entry | undefined;
  /** Why nothing can be started: what was started before is not known. */
  #unreadable: Error | undefined;

  constructor(disk: JournalDisk) {
    this.#disk = disk;
    try {
      const entries = disk.list().flatMap((name) => readEntry(disk, name) ?? []);
      for (const entry of entries.sort((a, b) => a.order - b.order)) this.#remember(entry);
    } catch (error) {
      this.#unreadable = error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Gives every attempt that an earlier run of the agent left without outcome the one that it must have. */
  settleOrphans(bootId: string): StepResult[] {
    const orphans = [...this.#entries.values()].filter((entry) => !entry.result);
    return orphans.map((entry) => {
      const result = orphanResult(entry, bootId);
      // If it cannot be written, the next agent comes to the same result.
      this.finish(result);
      return result;
    });
  }

  /** A reboot that was announced in this very boot and never came; a later attempt takes its place. */
  missedReboot(bootId: string): string | undefined {
    const newest = [...this.#entries.values()].at(-1);
    const announced = newest?.result && announcesReboot(newest.kind, newest.result);
    return announced && newest.bootId === bootId ? newest.token : undefined;
  }

  /** Also after the attempt that had it is forgotten. */
  get highestFence(): bigint {
    return this.#highest?.fence ?? 0n;
  }

  has(attempt: AttemptKey): boolean {
    return this.#entry(attempt) !== undefined;
  }

  resultOf(attempt: AttemptKey): StepResult | undefined {
    return this.#entry(attempt)?.result;
  }

  /** The newest attempt with this token. */
  newest(token: string): AttemptKey | undefined {
    return [...this.#entries.values()].findLast((entry) => entry.token === token);
  }

  /** Throws if it cannot be written: then the attempt must not start. */
  start(attempt: StartedAttempt): void {
    if (this.#unreadable) throw this.#refusal("read", this.#unreadable);
    const entry = { ...attempt, order: this.#order + 1, acknowledged: false };
    const failure = this.#write(entry, "create");
    if (failure) throw this.#refusal("written", failure);
    this.#remember(entry);
  }

  /** An attempt that ended without having started. */
  refuse(attempt: StartedAttempt, result: StepResult): void {
    const entry = { ...attempt, order: this.#order + 1, acknowledged: false, result };
    this.#remember(entry);
    this.#write(entry, "create");
  }

  /** False if the outcome is in memory only: a later agent will not know it, and say so. */
  finish(result: StepResult): boolean {
    const entry = this.#entries.get(fileName(result));
    if (!entry) throw new Error(`attempt ${result.token} has an outcome but was never started`);
    entry.result = result;
    return this.#write(entry, "append") === undefined;
  }

  acknowledge(token: string): void {
    for (const entry of this.#entries.values()) {
      if (entry.token !== token || !entry.result || entry.acknowledged) continue;
      entry.acknowledged = true;
      const { facts, changes } = entry.result;
      // The daemon has them, and they are too much to be kept for hundreds of attempts.
      entry.result = { ...entry.result, facts: undefined, changes: [] };
      // If it is lost, or cannot be written, the next agent says the outcome once more.
      this.#write(entry, facts || changes.length ? "replace" : "note");
    }
    const acknowledged = [...this.#entries.values()].filter((entry) => entry.acknowledged);
    for (const old of acknowledged.slice(0, -acknowledgedLimit)) this.#forget(old);
  }

  /** Outcomes that the daemon has not confirmed. */
  unacknowledged(): StepResult[] {
    const waiting = [...this.#entries.values()].filter((entry) => !entry.acknowledged);
    return waiting.flatMap((entry) => entry.result ?? []);
  }

  /** A cancellation that came before its assignment has no fence, and is meant for whichever comes. */
  #entry({ token, fence }: AttemptKey): Entry | undefined {
    return this.#entries.get(fileName({ token, fence })) ?? this.#entries.get(fileName({ token, fence: 0n }));
  }

  #remember(entry: Entry): void {
    this.#entries.set(fileName(entry), entry);
    this.#order = Math.max(this.#order, entry.order);
    if (entry.fence > this.highestFence) this.#highest = entry;
  }

  /** The entry with the highest fence stays, so that a later agent knows that fence. */
  #forget(entry: Entry): void {
    if (entry === this.#highest) return;
    try {
      this.#disk.remove(fileName(entry));
      this.#entries.delete(fileName(entry));
    } catch {
      // It is forgotten with a later one.
    }
  }

  #write(entry: Entry, how: "create" | "append" | "note" | "replace"): Error | undefined {
    const { result, fence, ...rest } = entry;
    const stored = { ...rest, ...(result && { result: toJson(StepResultSchema, result) }) };
    const name = fileName({ token: entry.token, fence });
    const line = JSON.stringify(stored);
    const durable = !harmless.includes(entry.kind);
    try {
      if (how === "create") this.#disk.create(name, line, durable);
      else if (how === "replace") this.#disk.replace(name, line);
      else this.#disk.append(name, line, durable && how === "append");
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  #refusal(what: string, cause: Error): Error {
    const message = `the agent's journal in ${this.#disk.place} cannot be ${what}: ${cause.message}`;
    return new Error(`${message}; make room there or mend it, then retry. The step was not started`, {
      cause,
    });
  }
}

function orphanResult(entry: Entry, bootId: string): StepResult {
  const { token, fence, kind } = entry;
  if (reboots.includes(kind) && entry.bootId !== bootId) {
    const result = "the machine has rebooted";
    const taskOutcome = kind === "restart" ? TaskOutcome.CHANGED : TaskOutcome.UNSPECIFIED;
    return create(StepResultSchema, {
      token,
      fence,
      outcome: StepResult_Outcome.SUCCEEDED,
      result,
      taskOutcome,
    });
  }
  const reason = `the agent was restarted while the step ran, so nobody knows how far it came; run the step again`;
  return create(StepResultSchema, { token, fence, outcome: StepResult_Outcome.FAILED, reason, exitCode: -1 });
}

/** Token and fence are in the name, so that a damaged file still says what was started. */
function fileName({ token, fence }: AttemptKey): string {
  return `${encodeURIComponent(token)}@${fence}${suffix}`;
}

function readEntry(disk: JournalDisk, name: string): Entry | undefined {
  const [, encoded = "", fence = ""] = /^(.*)@(\d+)\.json$/.exec(name) ?? [];
  if (!encoded) return undefined;
  const attempt = { token: decodeURIComponent(encoded), fence: BigInt(fence) };
  try {
    const { result, ...rest } = lastWhole(disk.read(name));
    return {
      ...rest,
      ...attempt,
      ...(result !== undefined && { result: fromJson(StepResultSchema, result) }),
    };
  } catch {
    return { ...attempt, step: "", kind: "", bootId: "", order: 0, acknowledged: false };
  }
}

/** The last line may have been cut off. Throws if none is whole. */
function lastWhole(text: string): Entry & { result?: JsonValue } {
  const lines = text.split("\n").filter(Boolean);
  for (const line of lines.toReversed()) {
    try {
      return JSON.parse(line);
    } catch {
      // The one before it counts.
    }
  }
  throw new Error("no line of it is whole");
}
