// Having an NVMe disk erase itself: sanitize where the controller can, which reaches every block that it ever
// wrote; otherwise format with secure erase.
import { setTimeout as sleep } from "node:timers/promises";
import type { MachineDisk } from "./disks.ts";
import type { EraseMethod } from "./erase-method.ts";
import type { StorageContext } from "./wait.ts";

type Controller = { sanicap?: number; oacs?: number; fna?: number };

const pollMs = 5_000;
const hoursMs = 60 * 60_000;
const sanitizeLimitMs = 24 * hoursMs;

/** The sanitize action that this controller has, the quickest first, as nvme-cli numbers them. */
export function sanitizeAction({
  sanicap = 0,
}: Controller): { code: number; method: EraseMethod } | undefined {
  if (sanicap & 1) return { code: 4, method: { name: "NVMe sanitize (crypto erase)", leaves: "noise" } };
  if (sanicap & 2) return { code: 2, method: { name: "NVMe sanitize (block erase)", leaves: "noise" } };
  return undefined;
}

/** The secure erase setting for `nvme format`; nothing if the controller has no format. */
export function formatSetting({
  oacs = 0,
  fna = 0,
}: Controller): { ses: number; method: EraseMethod } | undefined {
  if (!(oacs & 2)) return undefined;
  if (fna & 4) return { ses: 2, method: { name: "NVMe format (crypto erase)", leaves: "noise" } };
  return { ses: 1, method: { name: "NVMe format (user data erase)", leaves: "noise" } };
}

export async function nvmeErase(
  disk: MachineDisk,
  context: StorageContext,
): Promise<EraseMethod | undefined> {
  const { run, signal, log } = context;
  const controller = /^(\/dev\/nvme\d+)n\d+$/.exec(disk.path)?.[1];
  if (!controller) return undefined;
  const described = await run(["nvme", "id-ctrl", controller, "--output-format=json"], { signal });
  const facts = JSON.parse(described.stdout) as Controller;
  // Both reach every namespace of the controller; only where this disk is the only one that is no more than it.
  if ((await countNamespaces(controller, context)) !== 1) {
    log(`${controller} has several namespaces: its own erase would reach them all`);
    return undefined;
  }
  const sanitize = sanitizeAction(facts);
  if (sanitize) {
    await run(["nvme", "sanitize", controller, `--sanact=${sanitize.code}`], { signal });
    await waitForSanitize(controller, context);
    return sanitize.method;
  }
  const format = formatSetting(facts);
  if (!format) {
    log(`${controller} can neither sanitize nor format`);
    return undefined;
  }
  const command = ["nvme", "format", disk.path, `--ses=${format.ses}`, "--force"] as const;
  await run(command, { signal, timeoutMs: sanitizeLimitMs });
  return format.method;
}

async function countNamespaces(controller: string, { run, signal }: StorageContext): Promise<number> {
  const { stdout } = await run(["nvme", "list-ns", controller, "--all"], { signal });
  return stdout.split("\n").filter((line) => line.startsWith("[")).length;
}

/** Bits 0 to 2 of sstat: 1 and 4 are done, 2 is running, 3 has failed. */
export function sanitizeState(logPage: string): "done" | "running" | "failed" {
  const { sstat = 0 } = (Object.values(JSON.parse(logPage) as Record<string, { sstat?: number }>)[0] ??
    {}) as {
    sstat?: number;
  };
  const state = sstat & 7;
  if (state === 1 || state === 4) return "done";
  return state === 2 ? "running" : "failed";
}

async function waitForSanitize(controller: string, { run, signal }: StorageContext): Promise<void> {
  const end = performance.now() + sanitizeLimitMs;
  for (;;) {
    const { stdout } = await run(["nvme", "sanitize-log", controller, "--output-format=json"], { signal });
    const state = sanitizeState(stdout);
    if (state === "done") return;
    if (state === "failed" || performance.now() > end) {
      throw new Error(
        `${controller}: the sanitize did not succeed. Retry; if it stays so, replace the disk.`,
      );
    }
    await sleep(pollMs, undefined, { signal });
  }
}
