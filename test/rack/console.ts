// Shows a machine's serial console.
import { createReadStream, existsSync, statSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { planRack } from "./layout.ts";
import type { Owner } from "./rack.ts";
import { onShutdown } from "./shutdown.ts";

const pollMs = 200;

export async function printConsole(owner: Owner, node: string, follow: boolean): Promise<void> {
  const machine = planRack(owner.options).find(({ name }) => name === node);
  if (!machine) throw new Error(`the rack has no machine ${node}; see \`muster lab status\``);
  const { signal } = onShutdown();
  let position = 0;
  do {
    const size = existsSync(machine.serialFile) ? statSync(machine.serialFile).size : 0;
    if (size > position) {
      const part = createReadStream(machine.serialFile, { start: position, end: size - 1 });
      await pipeline(part, process.stdout, { end: false });
      position = size;
    }
    if (follow) await sleep(pollMs, undefined, { signal }).catch(() => {});
  } while (follow && !signal.aborted);
}
