// `muster events`: what has happened, and with -w what happens.
import type { Event } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode } from "../errors.ts";
import { clean, dateTime, timeMs } from "../format.ts";
import type { Io } from "../io.ts";
import { sleep, watchFeed } from "../watch.ts";
import { severity } from "../words.ts";

export async function events(operator: Operator, io: Io, options: { watch?: boolean }): Promise<number> {
  // After a new snapshot the same events come again: what was printed is known by its revision.
  let printed = 0n;
  let highest = 0n;
  for await (const item of watchFeed(operator.watch, { signal: io.signal, sleep })) {
    if (item.kind === "restart") printed = highest;
    if (item.kind === "broken") {
      if (!options.watch) throw item.error;
      io.err(`connection to the daemon lost, trying again: ${clean(item.error.message)}`);
    }
    if (item.kind !== "message") continue;
    const { change } = item.response;
    if (change.case === "snapshotEnd" && !options.watch) return exitCode.ok;
    if (change.case !== "put" || change.value.kind.case !== "event") continue;
    const event = change.value.kind.value;
    if (event.revision && event.revision <= printed) continue;
    if (event.revision > highest) highest = event.revision;
    io.out(eventLine(event));
  }
  return exitCode.interrupted;
}

function eventLine(event: Event): string {
  const time = timeMs(event.time);
  const when = time === undefined ? "" : dateTime(time);
  return [
    when,
    severity(event.severity).word.padEnd(7),
    event.subject,
    event.reason,
    clean(event.message),
  ].join("  ");
}
