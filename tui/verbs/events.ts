// `muster events`: what has happened, and with -w what happens.
import { toJson } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode, RefusedError } from "../errors.ts";
import { clean, dateTime, timeMs } from "../format.ts";
import type { Io } from "../io.ts";
import { jsonList, type OutputOptions, wantsJson } from "../output.ts";
import { allPages } from "../pages.ts";
import { sleep, watchFeed } from "../watch.ts";
import { severity } from "../words.ts";

type EventsOptions = OutputOptions & { watch?: boolean; filter?: string };

export async function events(operator: Operator, io: Io, options: EventsOptions): Promise<number> {
  if (options.watch) {
    if (options.filter || wantsJson(options)) throw new RefusedError("-w shows all events, as text");
    return watchEvents(operator, io);
  }
  const newestFirst = await allPages(
    (request) => operator.watch.listEvents(request),
    (page) => page.events,
    options,
  );
  const found = newestFirst.reverse();
  if (wantsJson(options)) io.out(jsonList(found.map((event) => toJson(EventSchema, event))));
  else for (const event of found) io.out(eventLine(event));
  return exitCode.ok;
}

async function watchEvents(operator: Operator, io: Io): Promise<number> {
  // After a new snapshot the same events come again: what was printed is known by its revision.
  let printed = 0n;
  let highest = 0n;
  for await (const item of watchFeed(operator.watch, { signal: io.signal, sleep })) {
    if (item.kind === "restart") printed = highest;
    if (item.kind === "broken")
      io.err(`connection to the daemon lost, trying again: ${clean(item.error.message)}`);
    if (item.kind !== "message") continue;
    const { change } = item.response;
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
