// What the fake agents really did, in their own order: one ledger per machine, written through to the disk before
// a step does anything. It outlives every crash and knows nothing of journals, so it can judge them.
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";

export class Ledger {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  /** `start TOKEN FENCE`, `end TOKEN`, `acknowledged TOKEN`. */
  write(...words: string[]): void {
    writeSync(this.#file, `${words.join(" ")}\n`);
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}

export type Verdict = {
  steps: number;
  destructive: number;
  /** Destructive steps that were started twice, or after a newer attempt. */
  doubled: string[];
  /** As doubled, of steps that destroy nothing. */
  repeated: string[];
  /** Attempts whose outcome the daemon has acknowledged. */
  acknowledged: string[];
};

const destructiveTasks = new Set(["partition", "image", "wipe"]);

export function readLedger(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").filter(Boolean);
  } catch {
    // A machine that was never switched on.
    return [];
  }
}

/** Judges the lines of one machine. */
export function judge(node: string, lines: readonly string[]): Verdict {
  const verdict: Verdict = { steps: 0, destructive: 0, doubled: [], repeated: [], acknowledged: [] };
  const started = new Set<string>();
  let highest = 0n;
  for (const line of lines) {
    const [word, token = "", fence = "0"] = line.split(" ");
    if (word === "acknowledged") verdict.acknowledged.push(token);
    if (word !== "start") continue;
    const isDestructive = destructiveTasks.has(token.split("/")[2] ?? "");
    const faults = isDestructive ? verdict.doubled : verdict.repeated;
    verdict.steps++;
    if (isDestructive) verdict.destructive++;
    if (started.has(`${token} ${fence}`))
      faults.push(`${node}: ${token} with fence ${fence} was started twice`);
    if (BigInt(fence) < highest) {
      faults.push(`${node}: ${token} with fence ${fence} was started after one with fence ${highest}`);
    }
    started.add(`${token} ${fence}`);
    if (BigInt(fence) > highest) highest = BigInt(fence);
  }
  return verdict;
}
