// Runs `muster` verbs as an operator would, with their output shown.
import { spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Log } from "./rack.ts";

export const repository = path.join(import.meta.dirname, "../..");
const launcher = path.join(repository, "bin/muster");

export type MusterOptions = { stateDir: string; signal: AbortSignal; log: Log };

/** Returns what it has said; throws its last words if it fails. An abort asks it to end and waits until it has. */
export async function muster(args: string[], { stateDir, signal, log }: MusterOptions): Promise<string> {
  signal.throwIfAborted();
  const child = spawn(launcher, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, MUSTER_STATE_DIR: stateDir, NO_COLOR: "1" },
    // Ctrl-C reaches it through the abort, once.
    detached: true,
  });
  const stop = () => child.kill("SIGTERM");
  signal.addEventListener("abort", stop);
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      log(`  ${line}`);
      said.push(line);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  }).finally(() => signal.removeEventListener("abort", stop));
  signal.throwIfAborted();
  if (code === 0) return said.join("\n");
  throw new Error(`\`muster ${args.join(" ")}\` failed (exit code ${code}): ${said.slice(-3).join(" | ")}`);
}

/** The same with the terminal handed over: for the TUI. */
export function musterInTerminal(args: string[], stateDir: string): Promise<void> {
  const env = { ...process.env, MUSTER_STATE_DIR: stateDir };
  const child = spawn(launcher, args, { stdio: "inherit", env });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => resolve());
  });
}
