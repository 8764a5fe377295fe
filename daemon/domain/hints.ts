// Which disks the hints of a selector match: Ironic's root device hints, with its operators.
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { hintFor } from "../../proto/manifest/suggest.ts";
import { type Comparison, type HintKind, parseHint, type Test } from "./hint-grammar.ts";

export type Hints = Record<string, string>;
export type HintFault = { hint: string; message: string };
export type Match = { ok: true } | { ok: false; why: string };

const kinds = new Map<string, HintKind>([
  ["model", "text"],
  ["vendor", "text"],
  ["serial", "text"],
  ["size", "number"],
  ["wwn", "text"],
  ["rotational", "flag"],
  ["hctl", "text"],
  ["by_path", "text"],
  ["tran", "text"],
]);

/** Hints that do not exist or cannot be read. */
export function checkHints(hints: Hints): HintFault[] {
  const faults: HintFault[] = [];
  for (const [hint, expression] of sorted(hints)) {
    const kind = kinds.get(hint);
    if (kind === undefined) faults.push({ hint, message: unknownHint(hint) });
    else {
      const parsed = parseHint(kind, expression);
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
    const parsed = kind ? parseHint(kind, expression) : undefined;
    if (!parsed?.ok) return { ok: false, why: `the hint ${hint} cannot be read` };
    const values = valuesOf(hint, disk);
    if (values.some((value) => matches(parsed.test, value))) continue;
    const found = hint === "size" ? shortGib(disk.sizeBytes) : values.filter(Boolean).join(", ");
    reasons.push(`${hint} is ${found || "unknown"}, not \`${expression}\``);
  }
  return reasons.length ? { ok: false, why: reasons.join("; ") } : { ok: true };
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
  if (hint === "name") {
    return "is not a hint: kernel names such as sda change between boots; choose by serial, wwn, by_path, hctl, model or size";
  }
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
      return disk.byPath.length ? disk.byPath.flatMap((path) => [path, `/dev/disk/by-path/${path}`]) : [""];
    case "model":
      return [disk.model];
    case "vendor":
      return [disk.vendor];
    case "serial":
      return [disk.serial];
    case "wwn":
      return [disk.wwn];
    case "hctl":
      return [disk.hctl];
    default:
      return [disk.tran];
  }
}

function matches(test: Test, value: string): boolean {
  const text = value.trim().toLowerCase();
  const number = Number(value);
  switch (test.kind) {
    case "flag":
      return text === String(test.value);
    case "number":
      return compare(test.operator, number, test.operand);
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
