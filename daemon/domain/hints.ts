// Which disks the hints of a selector match: Ironic's root device hints, with its operators and its results.
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { hintFor } from "../../proto/manifest/suggest.ts";
import { splitWwn } from "../../proto/plan/disk-mark.ts";
import {
  type Comparison,
  escapeText,
  type HintKind,
  type ParsedHint,
  parseHint,
  type Test,
} from "./hint-grammar.ts";

export type Hints = Record<string, string>;
export type HintFault = { hint: string; message: string };
export type Match = { ok: true } | { ok: false; why: string };

const kinds = new Map<string, HintKind>([
  ["model", "text"],
  ["vendor", "text"],
  ["serial", "text"],
  ["size", "number"],
  ["wwn", "text"],
  ["wwn_with_extension", "text"],
  ["wwn_vendor_extension", "text"],
  ["rotational", "flag"],
  ["hctl", "text"],
  ["by_path", "text"],
  ["by_id", "text"],
  ["name", "text"],
  ["tran", "text"],
]);

/** Hints that do not exist or cannot be read. */
export function checkHints(hints: Hints): HintFault[] {
  const faults: HintFault[] = [];
  for (const [hint, expression] of sorted(hints)) {
    const kind = kinds.get(hint);
    if (kind === undefined) faults.push({ hint, message: unknownHint(hint) });
    else {
      const parsed = parse(kind, expression);
      if (!parsed.ok) faults.push({ hint, message: parsed.message });
    }
  }
  return faults;
}

/** Whether all hints match; if not, what was wanted and what the disk has. */
export function matchDisk(hints: Hints, disk: Disk): Match {
  const reasons: string[] = [];
  for (const [hint, expression] of sorted(hints)) {
    const kind = kinds.get(hint);
    const parsed = kind ? parse(kind, expression) : undefined;
    if (!parsed?.ok) return { ok: false, why: `the hint ${hint} cannot be read` };
    const { test } = parsed;
    const values = valuesOf(hint, disk);
    // What is excluded must be excluded under each of the disk's names.
    const matched = isExclusion(test)
      ? values.every((value) => matches(test, value))
      : values.some((value) => matches(test, value));
    if (matched) continue;
    const found = hint === "size" ? shortGib(disk.sizeBytes) : values.filter(Boolean).join(", ");
    reasons.push(`${hint} is ${found || "unknown"}, not \`${expression}\``);
  }
  return reasons.length ? { ok: false, why: reasons.join("; ") } : { ok: true };
}

// A fleet asks the same few hints of thousands of disks.
const parsedHints = new Map<string, ParsedHint>();

function parse(kind: HintKind, expression: string): ParsedHint {
  const key = `${kind} ${expression}`;
  const known = parsedHints.get(key);
  if (known) return known;
  const parsed = parseHint(kind, expression);
  if (parsedHints.size >= 1000) parsedHints.clear();
  parsedHints.set(key, parsed);
  return parsed;
}

function isExclusion(test: Test): boolean {
  return (test.kind === "text" || test.kind === "number") && test.operator === "!=";
}

/** The hints as one line: "size >= 4, tran virtio". */
export function describeHints(hints: Hints): string {
  return (
    sorted(hints)
      .map(([hint, expression]) => `${hint} ${expression}`)
      .join(", ") || "no hints"
  );
}

function unknownHint(hint: string): string {
  return `there is no such hint${hintFor(hint, [...kinds.keys()])}`;
}

// An absent value is "", which a disk never matches but by an operator that says so (s!=).
function valuesOf(hint: string, disk: Disk): string[] {
  switch (hint) {
    case "size":
      return [String(Number(disk.sizeBytes) / 2 ** 30)];
    case "rotational":
      return [String(disk.rotational)];
    case "by_path":
      return links("by-path", disk.byPath);
    case "by_id":
      return links("by-id", disk.byId);
    case "name":
      return [`/dev/${disk.name}`, ...linkPaths("by-id", disk.byId), ...linkPaths("by-path", disk.byPath)];
    case "model":
      return [disk.model];
    case "vendor":
      return [disk.vendor];
    case "serial":
      return [disk.serial];
    case "wwn":
      // lsblk adds the extension where the disk has one; Ironic's wwn is without it.
      return [...new Set([disk.wwn, splitWwn(disk.wwn).base])];
    case "wwn_with_extension":
      return [disk.wwn];
    case "wwn_vendor_extension":
      return [splitWwn(disk.wwn).extension];
    case "hctl":
      return [disk.hctl];
    default:
      return [disk.tran];
  }
}

function links(folder: string, names: string[]): string[] {
  return names.length ? [...names, ...linkPaths(folder, names)] : [""];
}

function linkPaths(folder: string, names: string[]): string[] {
  return names.map((name) => `/dev/disk/${folder}/${name}`);
}

function matches(test: Test, value: string): boolean {
  const plain = value.trim().toLowerCase();
  const text = escapeText(value);
  const number = plain === "" ? Number.NaN : Number(plain);
  // Only what is excluded by name can be right without a value.
  if (text === "" && !isExclusion(test)) return false;
  switch (test.kind) {
    case "flag":
      return plain === String(test.value);
    case "glob":
      return test.pattern.test(plain);
    case "number":
      // What is no number cannot be compared with one, not even as another.
      return !Number.isNaN(number) && compare(test.operator, number, test.operand);
    case "text":
      return compare(test.operator, text, test.operand);
    case "contains":
      return test.all.every((part) => text.includes(part));
    case "or":
      return test.any.includes(text);
    case "or-number":
      return test.any.includes(number);
    case "range":
      return (
        (test.openStart ? number > test.from : number >= test.from) &&
        (test.openEnd ? number < test.to : number <= test.to)
      );
  }
}

function compare<T extends string | number>(operator: Comparison, value: T, operand: T): boolean {
  switch (operator) {
    case "==":
      return value === operand;
    case "!=":
      return value !== operand;
    case ">":
      return value > operand;
    case "<":
      return value < operand;
    case "<=":
      return value <= operand;
    // Ironic's `=` is at least.
    default:
      return value >= operand;
  }
}

// Cut, not rounded, so that what does not match `>= 4` is never shown as 4.
function shortGib(bytes: bigint): string {
  return `${Math.floor((Number(bytes) / 2 ** 30) * 100) / 100} GiB`;
}

// In order of name, so that a message does not depend on the order of a map.
function sorted(hints: Hints): [string, string][] {
  return Object.entries(hints).sort(([a], [b]) => (a < b ? -1 : 1));
}
