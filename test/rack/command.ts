// Runs a program to its end. For the rack's own chores; the machines and the daemon are in processes.ts.
import { execFile } from "node:child_process";

export class CommandError extends Error {
  override name = "CommandError";
}

/** Its standard output. Throws CommandError with the command and its last words. */
export function run(
  argv: readonly [string, ...string[]],
  options: { timeoutMs?: number } = {},
): Promise<string> {
  const [program, ...args] = argv;
  return new Promise((resolve, reject) => {
    execFile(
      program,
      args,
      { timeout: options.timeoutMs ?? 30_000, maxBuffer: 16 << 20 },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout);
        const why = stderr.trim().split("\n").slice(-3).join(" | ") || error.message;
        reject(new CommandError(`\`${argv.join(" ")}\` failed: ${why}`));
      },
    );
  });
}
