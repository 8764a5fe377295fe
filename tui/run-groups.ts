// What a command has said on many nodes, grouped by what is the same to the byte. Only one copy of each is kept, so that
// thousands of equal answers take no more room than one.
import { createHash } from "node:crypto";
import type { RunEnded, RunOutput } from "../proto/gen/muster/v1/run_pb.ts";

export type RunGroup = {
  nodes: string[];
  exitCode: number;
  /** Why it was not run or was ended; empty if it ended by itself. */
  reason: string;
  stdout: Buffer;
  stderr: Buffer;
  droppedBytes: bigint;
};

type Pieces = { stdout: Uint8Array[]; stderr: Uint8Array[] };

export class RunGroups {
  readonly #running = new Map<string, Pieces>();
  readonly #groups = new Map<string, RunGroup>();
  ended = 0;
  failed = 0;

  output({ node, error, content }: RunOutput): void {
    const pieces = this.#running.get(node) ?? { stdout: [], stderr: [] };
    this.#running.set(node, pieces);
    pieces[error ? "stderr" : "stdout"].push(content);
  }

  end({
    node,
    exitCode,
    reason,
    droppedBytes,
  }: Pick<RunEnded, "node" | "exitCode" | "reason" | "droppedBytes">): void {
    const pieces = this.#running.get(node);
    this.#running.delete(node);
    const [stdout, stderr] = [Buffer.concat(pieces?.stdout ?? []), Buffer.concat(pieces?.stderr ?? [])];
    const parts = [String(exitCode), reason, String(droppedBytes), digest(stdout), digest(stderr)];
    const key = parts.join("\0");
    const group = this.#groups.get(key);
    if (group) group.nodes.push(node);
    else this.#groups.set(key, { nodes: [node], exitCode, reason, stdout, stderr, droppedBytes });
    this.ended++;
    if (exitCode !== 0) this.failed++;
  }

  /** Of these nodes, those that have not ended, for one reason. */
  giveUp(nodes: readonly string[], reason: string): void {
    const ended = new Set([...this.#groups.values()].flatMap((group) => group.nodes));
    for (const node of nodes) {
      if (!ended.has(node)) this.end({ node, exitCode: -1, reason, droppedBytes: 0n });
    }
  }

  /** What has gone well first, then the largest. */
  groups(): RunGroup[] {
    return [...this.#groups.values()].sort(
      (a, b) =>
        Number(a.exitCode !== 0) - Number(b.exitCode !== 0) ||
        b.nodes.length - a.nodes.length ||
        a.exitCode - b.exitCode,
    );
  }
}

function digest(content: Buffer): string {
  return createHash("sha256").update(content).digest("base64");
}
