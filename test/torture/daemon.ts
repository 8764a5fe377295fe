// The daemon as a process that can be told when to kill itself, and whose clock can be set. Its first argument says
// so, as JSON; the others are those of `muster daemon`.
import { readFileSync } from "node:fs";
import { pino } from "pino";
import { readConfig } from "../../daemon/config.ts";
import { startDaemon } from "../../daemon/daemon.ts";
import { type Doom, doomedParts } from "./doom.ts";

export type DaemonOrder = {
  doom?: Doom;
  /** Holds by how many milliseconds the daemon's clock is off. */
  clockFile: string;
};

const lookMs = 50;

const [text = "{}", ...argv] = process.argv.slice(2);
const order = JSON.parse(text) as DaemonOrder;
let offsetMs = readOffset();
setInterval(() => {
  offsetMs = readOffset();
}, lookMs).unref();

const daemon = await startDaemon(readConfig(argv, {}), pino({ level: "info" }), {
  ...doomedParts(order.doom),
  clock: () => Date.now() + offsetMs,
});
process.once("SIGTERM", () => void daemon[Symbol.asyncDispose]());
const error = await daemon.failed;
process.stderr.write(`muster daemon: ${error.message}\n`);
process.exit(1);

function readOffset(): number {
  try {
    return Number(readFileSync(order.clockFile, "utf8"));
  } catch {
    return 0;
  }
}
