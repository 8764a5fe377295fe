// Lines on the machine's console: plain text with the uptime, because a person reads them there.
import { uptime } from "node:os";

export type Print = (line: string) => void;

export function printLine(line: string): void {
  process.stdout.write(`[${uptime().toFixed(1).padStart(8)}] muster: ${line}\n`);
}
