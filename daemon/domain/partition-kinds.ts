// Primary, extended and logical partitions of an msdos table, and the numbers of partitions in either table.
import type { Partition } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { FoundPartition } from "./existing.ts";
import type { Label } from "./partition-types.ts";

/** Empty in a GPT, which has one kind only. */
export type Kind = "" | "primary" | "extended" | "logical";
type Kinds = { ok: true; kinds: Kind[] } | { ok: false; message: string };
/** `extended` is the number of the extended partition; 0 if there is none. */
type Numbers = { ok: true; numbers: number[]; extended: number } | { ok: false; message: string };

const primaries = 4;

/** What is not said is primary; with more than four partitions, the fourth and those after it are logical. */
export function kindsOf(partitions: Partition[], label: Label): Kinds {
  if (label === "gpt") return { ok: true, kinds: partitions.map(() => "") };
  const said = partitions.some(({ type }) => type !== "");
  const kinds = partitions.map(({ type }, i): Kind => {
    if (type === "primary" || type === "logical" || type === "extended") return type;
    return !said && partitions.length > primaries && i >= primaries - 1 ? "logical" : "primary";
  });
  const extended = kinds.filter((kind) => kind === "extended").length;
  const logical = kinds.includes("logical");
  const slots = kinds.filter((kind) => kind === "primary").length + (extended || logical ? 1 : 0);
  if (extended > 1) return { ok: false, message: "an msdos table has one extended partition at most" };
  if (extended && !logical)
    return { ok: false, message: "the extended partition has no logical one; remove it, or add one" };
  if (slots > primaries) {
    return {
      ok: false,
      message: `an msdos table has ${primaries} primary partitions at most, the extended one among them; make some logical, or use a GPT`,
    };
  }
  const firstLogical = kinds.indexOf("logical");
  if (
    logical &&
    kinds.slice(firstLogical, kinds.lastIndexOf("logical") + 1).some((kind) => kind !== "logical")
  ) {
    return { ok: false, message: "logical partitions lie side by side; put no other between them" };
  }
  return { ok: true, kinds };
}

/** The number of each piece: what it has on the disk, what the scheme says, or the lowest free one. */
export function numbersOf(
  pieces: { partition: Partition; kind: Kind }[],
  kept: ReadonlyMap<string, FoundPartition>,
  others: FoundPartition[],
  label: Label,
): Numbers {
  const taken = new Set(others.map(({ number }) => number));
  const numbers = pieces.map(({ partition }) => kept.get(partition.name)?.number || partition.count);
  for (const [i, number] of numbers.entries()) {
    if (number === 0) continue;
    const name = pieces[i]?.partition.name ?? "";
    if (taken.has(number)) return { ok: false, message: `${name}: the number ${number} is taken already` };
    const { kind = "" } = pieces[i] ?? {};
    if (label === "msdos" && number > primaries !== (kind === "logical")) {
      const range = kind === "logical" ? "5 or more" : "from 1 to 4";
      return { ok: false, message: `${name}: a ${kind} partition has a number ${range}; found ${number}` };
    }
    taken.add(number);
  }
  const next = (from: number) => {
    let number = from;
    while (taken.has(number)) number++;
    taken.add(number);
    return number;
  };
  let implied = 0;
  const given = numbers.map((number, i) => {
    const kind = pieces[i]?.kind;
    const explicit = pieces.some((piece) => piece.kind === "extended");
    if (kind === "logical" && !explicit && implied === 0) implied = next(1);
    if (number) return number;
    return next(kind === "logical" ? primaries + 1 : 1);
  });
  const beyond = given.findIndex((number, i) => pieces[i]?.kind === "primary" && number > primaries);
  if (beyond >= 0) {
    const { name = "" } = pieces[beyond]?.partition ?? {};
    return { ok: false, message: `${name}: the table has its ${primaries} primary partitions already` };
  }
  const own = given[pieces.findIndex(({ kind }) => kind === "extended")];
  return { ok: true, numbers: given, extended: own ?? implied };
}
