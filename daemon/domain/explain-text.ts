// The words that explanations are made of. Times are spans up to now, as the reader's clock may be another.
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";

export type Reason = {
  /** In one line. */
  why: string;
  /** What would move it; empty if it is where it should be, or moves by itself. */
  remedy: string;
  /** Full names, one after another: the last one is what to look at. */
  waitsFor: string[];
};

export function reason(why: string, remedy = "", waitsFor: string[] = []): Reason {
  return { why, remedy, waitsFor };
}

/** 8s, 4m12s, 2h05m, 3d04h. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (value: number) => String(value).padStart(2, "0");
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${two(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}h${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d${two(hours % 24)}h`;
}

/** How long something has been so; "an unknown time" if nobody wrote it down. */
export function since(time: Timestamp | undefined, nowMs: number): string {
  return time ? span(nowMs - timestampMs(time)) : "an unknown time";
}

/** The name of an enum's value as people read it: "awaiting approval". */
export function wordOf(values: Record<string, number>, value: number): string {
  const name = Object.keys(values).find((key) => values[key] === value) ?? `state ${value}`;
  return name.toLowerCase().replaceAll("_", " ");
}

/** Lines of agents and drivers, in one. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, "; ");
}
