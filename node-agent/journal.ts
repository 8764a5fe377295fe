// Which attempts this agent has started and how they ended, on disk before the daemon hears of it: what makes
// a destructive step happen once. One file per token, written atomically.
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type StepResult, StepResult_Outcome, StepResultSchema } from "../proto/gen/muster/v1/agent_pb.ts";

export type StartedAttempt = {
  token: string;
  /** For people: `DEPLOYMENT/NODE/TASK`. */
  step: string;
  kind: string;
  bootId: string;
};

type Entry = StartedAttempt & { startedMs: number; result?: StepResult; acknowledged: boolean };

/** A token is remembered after its acknowledgement, so that a late second assignment does not run it again. */
const acknowledgedLimit = 256;
const suffix = ".json";

export class Journal {
  readonly #dir: string;
  readonly #now: () => number;
  #entries = new Map<string, Entry>();

  constructor(dir: string, now: () => number = Date.now) {
    this.#dir = dir;
    this.#now = now;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const names = readdirSync(dir).filter((name) => name.endsWith(suffix));
    const entries = names.map((name) => readEntry(dir, name));
    for (const entry of entries.sort((a, b) => a.startedMs - b.startedMs))
      this.#entries.set(entry.token, entry);
  }

  /** Gives every attempt that an earlier run of the agent left without outcome the one that it must have. */
  settleOrphans(bootId: string): StepResult[] {
    const orphans = [...this.#entries.values()].filter((entry) => !entry.result);
    return orphans.map((entry) => this.finish(orphanResult(entry, bootId)));
  }

  /** A reboot that was announced in this very boot and never came; a later attempt takes its place. */
  missedReboot(bootId: string): string | undefined {
    const newest = [...this.#entries.values()].at(-1);
    const announced = newest?.kind === "reboot" && newest.result?.outcome === StepResult_Outcome.SUCCEEDED;
    return announced && newest.bootId === bootId ? newest.token : undefined;
  }

  has(token: string): boolean {
    return this.#entries.has(token);
  }

  resultOf(token: string): StepResult | undefined {
    return this.#entries.get(token)?.result;
  }

  start(attempt: StartedAttempt): void {
    this.#put({ ...attempt, startedMs: this.#now(), acknowledged: false });
  }

  finish(result: StepResult): StepResult {
    const entry = this.#entries.get(result.token);
    if (!entry) throw new Error(`attempt ${result.token} has an outcome but was never started`);
    this.#put({ ...entry, result });
    return result;
  }

  acknowledge(token: string): void {
    const entry = this.#entries.get(token);
    if (!entry?.result || entry.acknowledged) return;
    this.#put({ ...entry, acknowledged: true });
    const acknowledged = [...this.#entries.values()].filter((other) => other.acknowledged);
    for (const old of acknowledged.slice(0, -acknowledgedLimit)) {
      this.#entries.delete(old.token);
      rmSync(join(this.#dir, fileName(old.token)), { force: true });
    }
  }

  /** Outcomes that the daemon has not confirmed. */
  unacknowledged(): StepResult[] {
    const waiting = [...this.#entries.values()].filter((entry) => !entry.acknowledged);
    return waiting.flatMap((entry) => entry.result ?? []);
  }

  #put(entry: Entry): void {
    this.#entries.set(entry.token, entry);
    const { result, ...rest } = entry;
    const stored = result ? { ...rest, result: toJson(StepResultSchema, result) } : rest;
    writeDurably(this.#dir, fileName(entry.token), `${JSON.stringify(stored)}\n`);
  }
}

function orphanResult(entry: Entry, bootId: string): StepResult {
  const { token, kind } = entry;
  if (kind === "reboot" && entry.bootId !== bootId) {
    const result = "the machine has rebooted";
    return create(StepResultSchema, { token, outcome: StepResult_Outcome.SUCCEEDED, result });
  }
  const reason = `the agent was restarted while the step ran, so nobody knows how far it came; run the step again`;
  return create(StepResultSchema, { token, outcome: StepResult_Outcome.FAILED, reason, exitCode: -1 });
}

function fileName(token: string): string {
  return encodeURIComponent(token) + suffix;
}

/** A file that cannot be read still says that its token was started. */
function readEntry(dir: string, name: string): Entry {
  const token = decodeURIComponent(name.slice(0, -suffix.length));
  try {
    const { result, ...rest } = JSON.parse(readFileSync(join(dir, name), "utf8")) as Entry & {
      result?: JsonValue;
    };
    return result === undefined
      ? { ...rest, token }
      : { ...rest, token, result: fromJson(StepResultSchema, result) };
  } catch {
    return { token, step: "", kind: "", bootId: "", startedMs: 0, acknowledged: false };
  }
}

function writeDurably(dir: string, name: string, text: string): void {
  const temporary = join(dir, `${name}.new`);
  const file = openSync(temporary, "w", 0o600);
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, join(dir, name));
  const folder = openSync(dir, "r");
  fsyncSync(folder);
  closeSync(folder);
}
