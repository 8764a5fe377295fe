// The agent's journal as node-agent/journal.ts keeps it, without the files: it lives as long as what it is on,
// the memory of the ramdisk or the installed disk.
import { create } from "@bufbuild/protobuf";
import {
  StepResult_Outcome as Outcome,
  type StepResult,
  StepResultSchema,
} from "../../proto/gen/muster/v1/agent_pb.ts";

type Entry = { token: string; kind: string; bootId: string; result?: StepResult; acknowledged: boolean };

const acknowledgedLimit = 256;

export class JournalRecord {
  readonly #entries = new Map<string, Entry>();

  settleOrphans(bootId: string): void {
    for (const entry of this.#entries.values()) entry.result ??= orphanResult(entry, bootId);
  }

  has(token: string): boolean {
    return this.#entries.has(token);
  }

  resultOf(token: string): StepResult | undefined {
    return this.#entries.get(token)?.result;
  }

  start(token: string, kind: string, bootId: string): void {
    this.#entries.set(token, { token, kind, bootId, acknowledged: false });
  }

  finish(result: StepResult): void {
    const entry = this.#entries.get(result.token);
    if (!entry) throw new Error(`attempt ${result.token} has an outcome but was never started`);
    entry.result = result;
  }

  acknowledge(token: string): void {
    const entry = this.#entries.get(token);
    if (!entry?.result || entry.acknowledged) return;
    entry.acknowledged = true;
    const acknowledged = [...this.#entries.values()].filter((other) => other.acknowledged);
    for (const old of acknowledged.slice(0, -acknowledgedLimit)) this.#entries.delete(old.token);
  }

  unacknowledged(): StepResult[] {
    const waiting = [...this.#entries.values()].filter(({ acknowledged }) => !acknowledged);
    return waiting.flatMap(({ result }) => result ?? []);
  }
}

function orphanResult({ token, kind, bootId }: Entry, nowBootId: string): StepResult {
  if (kind === "reboot" && bootId !== nowBootId) {
    return create(StepResultSchema, {
      token,
      outcome: Outcome.SUCCEEDED,
      result: "the machine has rebooted",
    });
  }
  const reason = "the agent was restarted while the step ran";
  return create(StepResultSchema, { token, outcome: Outcome.FAILED, reason, exitCode: -1 });
}
