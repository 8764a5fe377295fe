// Turns what agents report into progress with a rate and an estimate. Kept in memory only: a step that ends
// takes its last one along.
import { create } from "@bufbuild/protobuf";
import type { StepProgress } from "../../proto/gen/muster/v1/agent_pb.ts";
import { type Progress, ProgressSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";

/** `token` is of the attempt: one that was lost takes nothing along, and the next begins anew. */
type Latest = { token: string; progress: Progress };
type Sample = { atMs: number; bytes: bigint; rate: number };
/** Weight of the newest rate; reports come about every 250 ms. */
const smoothing = 0.15;
/** An estimate of years is none, and more of them than a Duration has would not be sent. */
const longestSeconds = 365 * 24 * 3600;

export class ProgressBoard {
  readonly #latest = new Map<string, Latest>();
  readonly #samples = new Map<string, Sample>();

  /** `step`: DEPLOYMENT/NODE/TASK. */
  report(step: string, report: StepProgress, nowMs: number): Progress {
    const rate = this.#rate(report.token, report.currentBytes, nowMs);
    const left = Number(report.totalBytes - report.currentBytes);
    const progress = create(ProgressSchema, {
      step,
      currentBytes: report.currentBytes,
      totalBytes: report.totalBytes,
      movedBytes: report.movedBytes,
      skippedBytes: report.skippedBytes,
      writtenBytes: report.writtenBytes,
      verifiedBytes: report.verifiedBytes,
      // An agent that begins anew counts down; what is sent has no sign.
      bytesPerSecond: BigInt(Math.max(0, Math.round(rate))),
      eta:
        rate > 0 && left > 0
          ? { seconds: BigInt(Math.min(longestSeconds, Math.ceil(left / rate))) }
          : undefined,
      activity: report.activity,
      currentItems: report.currentItems,
      totalItems: report.totalItems,
      changedItems: report.changedItems,
      failedItems: report.failedItems,
    });
    this.#latest.set(step, { token: report.token, progress });
    return progress;
  }

  get(step: string, token: string): Progress | undefined {
    const latest = this.#latest.get(step);
    return latest?.token === token ? latest.progress : undefined;
  }

  take(step: string, token: string): Progress | undefined {
    const progress = this.get(step, token);
    this.#latest.delete(step);
    this.#samples.delete(token);
    return progress;
  }

  #rate(token: string, bytes: bigint, nowMs: number): number {
    const last = this.#samples.get(token);
    if (!last) {
      this.#samples.set(token, { atMs: nowMs, bytes, rate: 0 });
      return 0;
    }
    const seconds = (nowMs - last.atMs) / 1000;
    if (seconds < 0.2) return last.rate;
    const current = Number(bytes - last.bytes) / seconds;
    const rate = last.rate === 0 ? current : last.rate + smoothing * (current - last.rate);
    this.#samples.set(token, { atMs: nowMs, bytes, rate });
    return rate;
  }
}
