// What happened, newest first.
import type { Event } from "../../proto/gen/muster/v1/watch_pb.ts";
import { clock, timeMs } from "../format.ts";
import { severity } from "../words.ts";
import { line, type Row, type Scene, type Screen, type Target, tableLines } from "./lines.ts";

export function eventsScreen(scene: Scene): Screen {
  const { head, body } = tableLines(
    [{ title: "TIME" }, { title: "SUBJECT" }, { title: "WHAT" }],
    eventRows(scene),
    scene.width,
  );
  return {
    title: "Events",
    head: [head],
    body: body.length ? body : [line("nothing has happened yet", "dim")],
  };
}

export function eventRows({ world, glyphs }: Scene): Row[] {
  return world.events.toReversed().map((event) => {
    const time = timeMs(event.time);
    const { tone } = severity(event.severity);
    const message = event.message || event.reason;
    return {
      cells: [
        { text: `${time === undefined ? "" : clock(time)} ${glyphs[tone]}`, tone },
        shortSubject(event.subject),
        { text: message, tone: tone === "plain" ? undefined : tone },
      ],
      target: eventTarget(event),
    };
  });
}

/** `step/demo-1/n1/image` is about n1/image: the deployment is said elsewhere. */
function shortSubject(subject: string): string {
  const parts = subject.split("/");
  if (parts.length === 1) return subject;
  return parts[0] === "step" ? parts.slice(2).join("/") : parts.slice(1).join("/");
}

/** The cursor stays on its event; Enter goes to what the event is about. */
function eventTarget(event: Event): Target {
  return { kind: "event", name: `${event.revision}/${event.subject}/${event.reason}` };
}

/** What an event's target is about, if it can be shown. */
export function subjectOf(eventName: string): Target | undefined {
  const [, kind, ...rest] = eventName.split("/");
  const name = rest.slice(0, -1).join("/");
  if (kind === "node" || kind === "cluster" || kind === "image" || kind === "deployment" || kind === "step") {
    return { kind, name };
  }
  return undefined;
}
