// Runs command lines of the CLI in this process against a fake daemon. All it made is gone after each test.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, vi } from "vitest";
import { run } from "../cli.ts";
import type { Io } from "../io.ts";
import { now } from "./fixtures.ts";
import { FakeOperator, type Overrides } from "./operator.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export async function start(overrides: Overrides = {}): Promise<FakeOperator> {
  const fake = (await FakeOperator.start(overrides)).fill();
  cleanups.push(() => fake[Symbol.asyncDispose]());
  return fake;
}

export async function folder(files: Record<string, string>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "muster-cli-"));
  cleanups.push(() => rm(path, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
  return path;
}

/** Runs one command line and gives back what it said. */
export function muster(stateDir: string, args: string, init: Partial<Io> = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    write: (content) => void out.push(Buffer.from(content).toString()),
    interactive: false,
    terminal: false,
    columns: 80,
    ask: async () => "",
    askHidden: async () => "",
    input: async () => undefined,
    now: () => now,
    signal: new AbortController().signal,
    env: { MUSTER_STATE_DIR: stateDir },
    ...init,
  };
  const tui = vi.fn(async () => 0);
  const code = run(args.split(" ").filter(Boolean), io, tui);
  return { out, err, code, tui };
}

export async function done(command: ReturnType<typeof muster>) {
  const code = await command.code;
  return { code, out: command.out.join("\n"), err: command.err.join("\n") };
}
