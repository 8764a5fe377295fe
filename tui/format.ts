// Numbers, times and foreign text as people read them. Pure; used by the CLI and the screens alike.
import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import type { Progress } from "../proto/gen/muster/v1/deployment_pb.ts";
import { clean } from "../proto/render/clean.ts";

export { clean };

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 712 MiB, 19.7 GiB, 0 B. One decimal below 100, none if it is zero. */
export function formatBytes(bytes: bigint | number): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const text = unit > 0 && value < 99.95 ? value.toFixed(1).replace(/\.0$/, "") : value.toFixed(0);
  return `${text} ${units[unit]}`;
}

export function formatRate(bytesPerSecond: bigint | number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

/** 0.4s, 3.2s, 41s, 4m12s, 2h05m, 3d04h. */
export function formatDuration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < 9_950) return `${(ms / 1000).toFixed(1).replace(/\.0$/, "")}s`;
  return formatAge(ms);
}

/** As formatDuration, in whole seconds: for what counts up on a screen. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${two(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}h${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d${two(hours % 24)}h`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** Whole percent; never 100 before the end. */
export function percent(current: bigint | number, total: bigint | number): number {
  const [part, whole] = [Number(current), Number(total)];
  if (whole <= 0) return 0;
  return part >= whole ? 100 : Math.min(99, Math.floor((part / whole) * 100));
}

/** How far it is, in bytes or in things; a total of 0 if that is not known. */
export function progressShare(progress: Progress): { current: bigint | number; total: bigint | number } {
  if (progress.totalItems > 0) return { current: progress.currentItems, total: progress.totalItems };
  return { current: progress.currentBytes, total: progress.totalBytes };
}

/** `61% 412 MiB/712 MiB 18 MiB/s eta 14s` or `28% 34/120 resources, 3 changed`, then what it is doing. */
export function formatProgress(progress: Progress, noun = ""): string {
  const parts: string[] = [];
  if (progress.totalItems > 0) {
    const { current, total } = progressShare(progress);
    const notes = [
      [`${current}/${total}`, noun].filter(Boolean).join(" "),
      progress.changedItems > 0 && `${progress.changedItems} changed`,
      progress.failedItems > 0 && `${progress.failedItems} failed`,
    ];
    parts.push(`${percent(current, total)}%`, notes.filter(Boolean).join(", "));
  } else if (progress.totalBytes > 0n) {
    parts.push(`${percent(progress.currentBytes, progress.totalBytes)}%`);
    parts.push(`${formatBytes(progress.currentBytes)}/${formatBytes(progress.totalBytes)}`);
  } else if (progress.currentBytes > 0n) {
    parts.push(formatBytes(progress.currentBytes));
  }
  if (progress.bytesPerSecond > 0n) parts.push(formatRate(progress.bytesPerSecond));
  if (progress.eta) parts.push(`eta ${formatAge(durationMs(progress.eta))}`);
  if (progress.activity) parts.push(clean(progress.activity));
  return parts.join(" ");
}

/** A bar of `width` characters. */
export function bar(
  current: bigint | number,
  total: bigint | number,
  width: number,
  full = "█",
  empty = "░",
): string {
  const done = Math.floor((percent(current, total) / 100) * width);
  return full.repeat(done) + empty.repeat(Math.max(0, width - done));
}

export function durationMs(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

export function timeMs(time: Timestamp | undefined): number | undefined {
  return time && Number(time.seconds) * 1000 + Math.floor(time.nanos / 1e6);
}

/** Local time of day, 14:02:51. */
export function clock(ms: number): string {
  const date = new Date(ms);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Local date and time, 2026-11-21 14:02:51. */
export function dateTime(ms: number): string {
  const date = new Date(ms);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(ms)}`;
}

/** How long something took, or has been taking; empty if it has not begun. */
export function elapsed(start: Timestamp | undefined, end: Timestamp | undefined, now: number): string {
  const from = timeMs(start);
  if (from === undefined) return "";
  const to = timeMs(end);
  return to === undefined ? formatAge(now - from) : formatDuration(to - from);
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The first characters of a digest, enough to tell images apart. */
export function shortDigest(digest: string): string {
  return digest.slice(0, 12);
}
