// What agents have really done: each attempt once, and no destructive one after a newer one.
import type { Assign } from "../../proto/gen/muster/v1/agent_pb.ts";
import { isDestructive, parts } from "./step-record.ts";

export class History {
  readonly #started = new Set<string>();
  /** Steps, and attempts of them. */
  readonly #done = new Set<string>();
  /** By node: of all that it has begun. */
  readonly #highestFence = new Map<string, bigint>();

  get attempts(): number {
    return this.#started.size;
  }

  /** Returns what is wrong with it. */
  begin({ token, fence }: Assign, node: string): string[] {
    const faults: string[] = [];
    // A token may come again after a restore, but its fence does not.
    const attempt = `${token}@${fence}`;
    if (this.#started.has(attempt)) faults.push(`${attempt} is executed twice`);
    this.#started.add(attempt);
    const highest = this.#highestFence.get(node) ?? 0n;
    if (fence <= highest && isDestructive(parts(token).task))
      faults.push(`${token} with fence ${fence} starts after one with fence ${highest}`);
    if (parts(token).node !== node) faults.push(`${token} is executed on ${node}`);
    if (fence > highest) this.#highestFence.set(node, fence);
    return faults;
  }

  done({ step, token }: Assign): void {
    this.#done.add(step).add(token);
  }

  isDone(stepOrToken: string): boolean {
    return this.#done.has(stepOrToken);
  }
}
