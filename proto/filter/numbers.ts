// Numbers in filters: counts, sizes as operators write them, and speeds.
import { nearest } from "../manifest/suggest.ts";
import { FilterError } from "./filter-error.ts";

export type Unit = "count" | "size" | "speed";

const sizes = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  PiB: 2 ** 50,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  PB: 1e15,
};

const scales: Record<Unit, Record<string, number>> = {
  count: {},
  size: sizes,
  speed: { "Mbit/s": 1, "Gbit/s": 1000 },
};

const examples: Record<Unit, string> = {
  count: "a number",
  size: "a size such as 64 GiB",
  speed: "a speed such as 10 Gbit/s, or a number of Mbit/s",
};

/** `64 GiB`, `64GiB`, `1.5 TB` or `8`. Throws FilterError, which names the field. */
export function parseNumber(text: string, unit: Unit, field: string): number {
  const [, number, word = ""] = /^(\d+(?:\.\d+)?) *([A-Za-z/]*)$/.exec(text) ?? [];
  const scale = word ? scaleOf(word, unit) : 1;
  if (number !== undefined && scale !== undefined) return Number(number) * scale;
  const near = word && nearest(word, Object.keys(scales[unit]));
  const hint = near ? `; did you mean \`${near}\`?` : "";
  throw new FilterError(`\`${field}\` is ${examples[unit]}, not \`${text}\`${hint}`);
}

/** In upper or lower case: nobody means bits by `Gib`. */
function scaleOf(word: string, unit: Unit): number | undefined {
  const known = Object.entries(scales[unit]);
  return known.find(([name]) => name.toLowerCase() === word.toLowerCase())?.[1];
}

/** `32 GiB`, `62.7 GiB`, `8`, `10000 Mbit/s`. */
export function numberText(number: number, unit: Unit): string {
  if (unit === "count") return String(number);
  if (unit === "speed") return `${number} Mbit/s`;
  const [name = "B", scale = 1] =
    (["PiB", "TiB", "GiB", "MiB", "KiB"] as const)
      .map((each) => [each, sizes[each]] as const)
      .find(([, each]) => number >= each) ?? [];
  return `${Math.round((number / scale) * 10) / 10} ${name}`;
}
