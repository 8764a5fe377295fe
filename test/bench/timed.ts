// Runs a shell script or a program of the repository, and says what it cost: wall time, and the CPU of all that it
// started and waited for.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

export type Cost = { seconds: number; cpuSeconds: number; stdout: string };

/** Linux counts a process's CPU time in these. */
const ticksPerSecond = 100;

/** `script`: bash. Throws with what it said when it fails. It ends with the bench, also when that is killed. */
export async function timed(script: string, env: Record<string, string> = {}): Promise<Cost> {
  const body = `set -euo pipefail; TIMEFORMAT='COST %R %U %S'; time { ${script}\n}`;
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "bash", "-c", body], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ]);
  const [, wall, user, system] = /COST ([\d.]+) ([\d.]+) ([\d.]+)/.exec(stderr) ?? [];
  if (code !== 0 || wall === undefined)
    throw new Error(`${script}\nended with ${code}: ${stderr.slice(-2000)}`);
  return { seconds: Number(wall), cpuSeconds: Number(user) + Number(system), stdout };
}

/** CPU seconds that a process, and the children that it has waited for, have used so far. */
export function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks / ticksPerSecond;
}

/** Bytes of memory that a process has for itself. */
export function residentOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
