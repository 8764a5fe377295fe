// Check `memory`: what is left for the daemon, in this machine or in the limits that it runs in.

import { formatBytes } from "../../../proto/render/bytes.ts";
import { type Check, fault, ok, type Verdict, warning } from "./check.ts";

const mib = 1 << 20;
const limits = { error: 64 * mib, warning: 256 * mib };

export const memory: Check = {
  name: "memory",
  run: async () => [memoryVerdict(process.availableMemory(), process.memoryUsage.rss())],
};

export function memoryVerdict(available: number, used: number): Verdict {
  const text = `${formatBytes(available)} of memory are left, and the daemon uses ${formatBytes(used)}`;
  const remedy = "end other programs on this machine, or give the daemon more memory";
  if (available < limits.error) return fault(text, remedy);
  return available < limits.warning ? warning(text, remedy) : ok(text);
}
