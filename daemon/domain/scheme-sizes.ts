// Whether the sizes of a scheme say one thing each, and can be true together.
import type { SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import type { SizeWish } from "./divide.ts";
import type { Report } from "./scheme-check.ts";
import { mib, parseBytes, parseSize, type Size } from "./size.ts";

type Wish = SizeWish & { path: string };

export function checkSizes(scheme: SchemeSpec, report: Report): void {
  scheme.parteds.forEach(({ partitions, label }, i) => {
    const wishes: Wish[] = [];
    partitions.forEach((partition, j) => {
      const path = `parteds[${i}].partitions[${j}]`;
      const { begin, end, type, guid, name } = partition;
      const placed = begin !== "" || end !== "";
      if (label !== "msdos" && type) report(`${path}.type`, "is for msdos tables; remove it");
      if (label === "msdos" && guid) report(`${path}.guid`, "is for a GPT; remove it, or make the label gpt");
      if (type === "extended" && (partition.size || placed || partition.byRam.length)) {
        report(`${path}.size`, `${name} is as large as the logical partitions in it; leave out its size`);
      }
      if (type === "extended") return;
      if (placed) checkPlace(path, partition, report);
      else wishes.push({ ...partition, path });
    });
    checkShared(wishes, "a disk", report);
  });
  scheme.mds.forEach(({ chunk }, i) => {
    checkPower(`mds[${i}].chunk`, chunk, 64n * mib, report);
  });
  scheme.lvs.forEach(({ stripeSize }, i) => {
    checkPower(`lvs[${i}].stripe_size`, stripeSize, 4n * mib, report);
  });
  for (const name of new Set(scheme.lvs.map(({ vg }) => vg))) {
    const own = scheme.lvs.flatMap((lv, i) => (lv.vg === name ? [{ ...lv, path: `lvs[${i}]` }] : []));
    const plain = own.filter(({ type }) => type !== "thin");
    checkShared(plain, `volume group ${name}`, report);
    // The volumes of a thin pool share nothing: each may promise all of it.
    for (const thin of own.filter(({ type }) => type === "thin")) checkThin(thin, report);
  }
}

/** Chunks and stripes are powers of two from 4 KiB on. */
function checkPower(path: string, text: string, largest: bigint, report: Report): void {
  const bytes = parseBytes(text);
  if (bytes === undefined) return;
  const isPower = bytes > 0n && (bytes & (bytes - 1n)) === 0n;
  if (!isPower || bytes < 4096n || bytes > largest)
    report(path, `is a power of two from 4 KiB to ${formatBytes(largest)}; found ${text}`);
}

/** Whether any size depends on the memory of the node. */
export function usesMemory(scheme: SchemeSpec): boolean {
  const wishes: SizeWish[] = [...scheme.parteds.flatMap(({ partitions }) => partitions), ...scheme.lvs];
  return wishes.some(
    ({ size, min, max, byRam }) =>
      byRam.length > 0 || [size, min, max].some((text) => parseSize(text)?.kind === "memory"),
  );
}

type Placed = SizeWish & { begin: string; end: string };

function checkPlace(path: string, { begin, end, size, byRam, min, max }: Placed, report: Report): void {
  const [from, to] = [parseBytes(begin), parseBytes(end)];
  if (from === undefined || to === undefined) {
    report(`${path}.${from === undefined ? "begin" : "end"}`, "is missing: begin and end go together");
  } else if (from >= to) report(`${path}.end`, `ends before it begins at ${begin}`);
  if (size || byRam.length || min || max)
    report(`${path}.size`, "cannot stand beside begin and end; keep one of both");
}

function checkOne({ path, size, byRam, min, max }: Wish, report: Report): void {
  if (!size && byRam.length === 0) report(`${path}.size`, "is missing: such as 512 MiB, 20% or remaining");
  if (size && byRam.length) report(`${path}.by_ram`, "cannot stand beside size; keep one of both");
  byRam.forEach(({ upTo }, i) => {
    const last = i === byRam.length - 1;
    if (last && upTo)
      report(`${path}.by_ram[${i}].up_to`, "the last row is for all other nodes; leave this out");
    if (!last && !upTo) report(`${path}.by_ram[${i}].up_to`, "is missing: only the last row goes without");
    const before = parseBytes(byRam[i - 1]?.upTo ?? "");
    const own = parseBytes(upTo);
    if (before !== undefined && own !== undefined && own <= before)
      report(`${path}.by_ram[${i}].up_to`, "is not more than in the row before");
  });
  if (isLess(parseSize(max), parseSize(min))) report(`${path}.max`, `is less than min, ${min}`);
}

/** Whether it is less on every machine: shares of different things, and bytes, can be compared on one only. */
function isLess(a: Size | undefined, b: Size | undefined): boolean {
  if (a?.kind === "bytes" && b?.kind === "bytes") return a.bytes < b.bytes;
  if (a?.kind === "share" && b?.kind === "share") return a.parts * b.whole < b.parts * a.whole;
  if (a?.kind === "memory" && b?.kind === "memory") return a.parts * b.whole < b.parts * a.whole;
  return false;
}

function checkThin(wish: Wish, report: Report): void {
  checkOne(wish, report);
  const message =
    "is a share of the pool or so many bytes for a thin volume, such as 100% or 20 GiB; nothing remains of a pool";
  if (wish.size === "remaining") report(`${wish.path}.size`, message);
  wish.byRam.forEach(({ size }, i) => {
    if (size === "remaining") report(`${wish.path}.by_ram[${i}].size`, message);
  });
}

/** Shares are added in these, so that those of an exact sum are never said to be more. */
const shareUnits = 10n ** 12n;

/** Sizes that share one disk or volume group. */
function checkShared(wishes: Wish[], whole: string, report: Report): void {
  let shares = 0n;
  const remaining: Wish[] = [];
  for (const wish of wishes) {
    checkOne(wish, report);
    for (const text of [wish.size, ...wish.byRam.map(({ size }) => size)]) {
      const size = parseSize(text);
      const path = `${wish.path}.size`;
      if (size?.kind === "remaining") remaining.push(wish);
      else if (size?.kind === "bytes") {
        if (size.bytes === 0n) report(path, "is nothing; give it a size");
      } else if (size) {
        if (size.parts === 0n) report(path, "is nothing; give it a size");
        if (size.kind === "memory" || wish.byRam.length) continue;
        shares += (size.parts * shareUnits) / size.whole;
        if (shares > shareUnits) {
          const percent = Number(shares) / Number(shareUnits / 100n);
          report(path, `with this the shares of ${whole} add up to ${percent}%; make them 100% or less`);
        }
      }
    }
  }
  // Several may share what remains, but not by accident.
  const careless = remaining.filter(({ weight, min, max }) => !weight && !min && !max);
  const [first, second] = careless;
  if (first && second) {
    report(
      `${second.path}.size`,
      `only one can have what remains of ${whole}, and ${first.path}.size does already; give weights to share it`,
    );
  }
}
