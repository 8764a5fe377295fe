// The logs of attempts: what steps have written, what the daemon has stored, and whether the two are the same.
import type { Assign } from "../../proto/gen/muster/v1/agent_pb.ts";

/** What the daemon's disk holds, as bytes of one character each. */
export class Books {
  readonly #written = new Map<string, string>();
  readonly #stored = new Map<string, string>();
  readonly #runBy = new Map<string, Set<string>>();
  /** Their agent died before the daemon had all. */
  readonly #torn = new Set<string>();
  /** Their attempts are of a state that is forgotten; the same tokens may come again. */
  readonly #leftBehind = new Set<string>();
  readonly #fences = new Map<string, bigint>();
  #epoch = 0n;

  written({ token, fence }: Assign, line: string): void {
    if ((this.#fences.get(token) ?? fence) !== fence || fence < this.#epoch) this.#leftBehind.add(token);
    this.#fences.set(token, fence);
    this.#written.set(token, `${this.#written.get(token) ?? ""}${line}\n`);
    const node = token.split("/")[1] ?? "";
    const tokens = this.#runBy.get(node) ?? new Set<string>();
    this.#runBy.set(node, tokens.add(token));
  }

  /** As daemon/engine/step-logs.ts does it with files. */
  append(token: string, offset: bigint, content: Uint8Array): Promise<bigint> {
    const before = this.#stored.get(token) ?? "";
    const gap = Math.max(0, Number(offset) - before.length);
    const fresh = Buffer.from(content)
      .subarray(Math.max(0, before.length - Number(offset)))
      .toString("latin1");
    const after = before + "\n".repeat(gap) + fresh;
    this.#stored.set(token, after);
    return Promise.resolve(BigInt(after.length));
  }

  /** What the daemon does not have now is lost with the process. */
  agentDied(node: string, running: string | undefined): void {
    for (const token of this.#runBy.get(node) ?? []) if (!this.#isStored(token)) this.#torn.add(token);
    if (running) this.#torn.add(running);
    this.#runBy.delete(node);
  }

  /** The logs were left behind with the old state; what their attempts say now is a part of nothing. */
  restored(epoch: bigint): void {
    this.#epoch = epoch;
    for (const token of this.#written.keys()) this.#leftBehind.add(token);
    this.#stored.clear();
  }

  /** Of the logs that are not as they should be. A deployment that is forgotten takes its logs along. */
  *faults(isKnown: (token: string) => boolean): Generator<string> {
    for (const [token, written] of this.#written) {
      if (this.#leftBehind.has(token)) continue;
      const stored = this.#stored.get(token) ?? "";
      const [short, long] = stored.length < written.length ? [stored, written] : [written, stored];
      if (!long.startsWith(short)) yield `the log of ${token} is not what was written: ${stored}`;
      else if (stored.length < written.length && !this.#torn.has(token) && isKnown(token)) {
        yield `the log of ${token} ends at ${stored.length} of ${written.length}`;
      }
    }
  }

  #isStored(token: string): boolean {
    return (this.#stored.get(token) ?? "").startsWith(this.#written.get(token) ?? "");
  }
}
