// Everything that the terminal shows at one moment, as lines: header, screen, footer. Pure.
import type { Plan } from "../proto/gen/muster/v1/deployment_pb.ts";
import type { Notice, Prompt } from "./actions.ts";
import { formatAge } from "./format.ts";
import { keymap, keyName, type Place } from "./keymap.ts";
import type { LogTail } from "./log-tail.ts";
import type { World } from "./model.ts";
import { deploymentScreen } from "./screens/deployment.ts";
import { deploymentsScreen } from "./screens/deployments.ts";
import { eventsScreen } from "./screens/events.ts";
import { helpScreen } from "./screens/help.ts";
import { imageScreen, imagesScreen } from "./screens/images.ts";
import {
  blank,
  type Line,
  line,
  margin,
  type Scene,
  type Screen,
  type Segment,
  wrap,
} from "./screens/lines.ts";
import { logScreen, logsScreen } from "./screens/logs.ts";
import { nodeScreen } from "./screens/node.ts";
import { nodesScreen } from "./screens/nodes.ts";
import { overviewScreen } from "./screens/overview.ts";
import { planScreen } from "./screens/plan.ts";
import { isLive, type Snapshot } from "./store.ts";
import type { Glyphs } from "./theme.ts";
import { filterLines, newView, type View, windowOf } from "./view.ts";
import { nodeState } from "./words.ts";

/** Where the operator is and what is asked, as the session keeps it. */
export type SessionState = {
  /** The last is shown. */
  stack: View[];
  prompt: Prompt | undefined;
  notice: Notice | undefined;
  plan: Plan | undefined;
  log: LogTail | undefined;
};

export type Size = { columns: number; rows: number };

export const smallest: Size = { columns: 80, rows: 24 };

export type Frame = {
  header: Line;
  title: Line;
  head: Line[];
  /** All lines of the screen's body that the filter leaves. */
  lines: Line[];
  /** How many of them are shown, from which on, and which is chosen (-1: none). */
  height: number;
  from: number;
  at: number;
  footer: Line;
  prompt: { label: string; text: string } | undefined;
  place: Place;
};

export function buildFrame(
  state: SessionState,
  snapshot: Snapshot,
  { size, now, glyphs }: { size: Size; now: number; glyphs: Glyphs },
): Frame {
  const view = state.stack.at(-1) ?? newView("overview");
  const live = isLive(snapshot, now);
  // Without the daemon no clock on the screen goes on: what it shows is how things were.
  const shownNow = live ? now : (snapshot.lastMessageAt ?? now);
  const scene: Scene = { world: snapshot.world, now: shownNow, width: size.columns, glyphs };
  const known = snapshot.world.complete || view.screen === "help";
  const screen = known ? screenOf(view, state, scene) : waitingScreen(snapshot, size.columns);
  const lines = filterLines(screen.body, view.filter);
  const height = Math.max(1, size.rows - 3 - screen.head.length);
  const { from, at } = windowOf(view, lines, height);
  const place = placeOf(view, lines[at], snapshot.world);
  const { prompt, notice } = state;
  return {
    header: headerLine(snapshot, scene, live, now),
    title: titleLine(screen, view, { from, height, total: lines.length }),
    head: screen.head,
    lines,
    height,
    from,
    at,
    footer: notice ? noticeLine(notice, glyphs) : footerLine(place, size.columns),
    prompt: prompt && { label: prompt.label, text: prompt.text },
    place,
  };
}

function screenOf(view: View, state: SessionState, scene: Scene): Screen {
  switch (view.screen) {
    case "overview":
      return overviewScreen(scene);
    case "nodes":
      return nodesScreen(scene);
    case "node":
      return nodeScreen(scene, view.name);
    case "deployments":
      return deploymentsScreen(scene);
    case "deployment":
      return deploymentScreen(scene, view.name);
    case "images":
      return imagesScreen(scene);
    case "image":
      return imageScreen(scene, view.name);
    case "events":
      return eventsScreen(scene);
    case "logs":
      return logsScreen(scene);
    case "log":
      return logScreen(
        scene,
        view.name,
        state.log?.text ?? { lines: [], ended: true, error: "" },
        view.follow,
      );
    case "plan":
      return state.plan ? planScreen(scene, state.plan) : { title: "Plan", head: [], body: [] };
    case "help":
      return helpScreen(scene, helpPlace(state, scene));
  }
}

/** Before the first snapshot nothing is known, which is not the same as that there is nothing. */
function waitingScreen({ link }: Snapshot, width: number): Screen {
  if (link.state !== "broken")
    return { title: "Connecting", head: [], body: [line("waiting for the daemon", "dim")] };
  const reason = wrap(link.reason, width - margin).map((text) => line(text, "warn"));
  const remedy = line("start it with `muster daemon`; this screen goes on as soon as it answers", "dim");
  return { title: "No daemon", head: [], body: [...reason, remedy] };
}

/** A screen about one thing means that thing wherever no line is chosen. */
function placeOf(view: View, chosen: Line | undefined, world: World): Place {
  const own = view.screen;
  const subject =
    own === "node" || own === "deployment" || own === "image"
      ? { kind: own, name: view.name }
      : own === "log"
        ? { kind: "step" as const, name: view.name }
        : undefined;
  return { screen: view.screen, target: chosen?.target ?? subject, world };
}

/** The help is about the screen below it. */
function helpPlace(state: SessionState, scene: Scene): Place {
  const below = state.stack.at(-2) ?? newView("overview");
  const lines = below.screen === "help" ? [] : filterLines(screenOf(below, state, scene).body, below.filter);
  return placeOf(below, lines[windowOf(below, lines, lines.length).at], scene.world);
}

function headerLine(snapshot: Snapshot, { world, glyphs }: Scene, live: boolean, now: number): Line {
  const counts = Map.groupBy(world.nodes.values(), ({ state }) => nodeState(state).tone);
  const tones = (["ok", "busy", "warn", "fail", "idle"] as const).flatMap((tone): Segment[] => {
    const count = counts.get(tone)?.length;
    return count ? [{ text: `  ${glyphs[tone]} ${count}`, tone }] : [];
  });
  return {
    segments: [
      { text: " muster  ", bold: true },
      linkSegment(snapshot, glyphs, live, now),
      { text: `   nodes ${world.nodes.size}` },
      ...tones,
    ],
  };
}

/** Never lets old data pass for new: without a live stream it says since when. */
function linkSegment({ link, lastMessageAt }: Snapshot, glyphs: Glyphs, live: boolean, now: number): Segment {
  if (live) return { text: `${glyphs.ok} connected ${formatAge(now - (lastMessageAt ?? now))}`, tone: "ok" };
  const age =
    lastMessageAt === undefined ? "nothing known yet" : `shown as of ${formatAge(now - lastMessageAt)} ago`;
  const word =
    link.state === "live" ? "daemon silent" : link.state === "broken" ? "not connected" : "connecting";
  return { text: `${glyphs.warn} ${word}, ${age}`, tone: "warn", bold: true };
}

function titleLine(screen: Screen, view: View, shown: { from: number; height: number; total: number }): Line {
  const { from, height, total } = shown;
  const more = total > height ? `   ${from + 1}-${Math.min(total, from + height)} of ${total}` : "";
  const filter = view.filter ? `   filter: ${view.filter}` : "";
  return {
    segments: [
      { text: ` ${screen.title}`, bold: true },
      { text: filter, tone: "warn" },
      { text: more, tone: "dim" },
    ],
  };
}

function noticeLine({ text, tone }: Notice, glyphs: Glyphs): Line {
  return text ? line(` ${glyphs[tone]} ${text}`, tone) : blank;
}

/** The keys that do something here, as far as there is room; help and quit always. */
function footerLine(place: Place, columns: number): Line {
  const usable = keymap.filter((binding) => binding.footer && !binding.refusal?.(place));
  const shown = [
    { name: "1-6", label: "screens" },
    ...usable.map((b) => ({ name: keyName(b), label: b.label })),
  ];
  const size = () => shown.reduce((sum, { name, label }) => sum + name.length + label.length + 3, 1);
  while (size() > columns && shown.length > 3) shown.splice(-3, 1);
  return {
    segments: [
      { text: " " },
      ...shown.flatMap(({ name, label }): Segment[] => [
        { text: name, bold: true },
        { text: ` ${label}  `, tone: "dim" },
      ]),
    ],
  };
}
