// The program of the bench's machine, in place of the agent: measures, tells its console, and switches the machine
// off.
import { execFileSync } from "node:child_process";
import { measureApply } from "./disks-apply.ts";
import { measuredMark, rounds } from "./disks-protocol.ts";

try {
  const figures = await measureApply(rounds, (line) => console.log(`bench: ${line}`));
  console.log(`${measuredMark}${JSON.stringify(figures)}`);
} catch (error) {
  console.log(`bench: failed: ${error instanceof Error ? error.stack : error}`);
} finally {
  execFileSync("busybox", ["poweroff", "-f"]);
}
