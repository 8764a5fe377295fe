// Options that a scheme hands to cryptsetup and mkfs. The same commands get a key and a device from the plan, so an
// option must not bring its own: a second device on the command line would be the one that is formatted.
import type { SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { Report } from "./scheme-check.ts";

/** What cryptsetup luksFormat may be told, and whether it takes a value. */
const luksOptions = new Map([
  ["--cipher", true],
  ["--key-size", true],
  ["--hash", true],
  ["--iter-time", true],
  ["--pbkdf", true],
  ["--pbkdf-memory", true],
  ["--pbkdf-parallel", true],
  ["--pbkdf-force-iterations", true],
  ["--sector-size", true],
  ["--label", true],
  ["--subsystem", true],
  ["--use-random", false],
  ["--use-urandom", false],
]);

const shortOptions = new Map([
  ["-c", "--cipher"],
  ["-s", "--key-size"],
  ["-h", "--hash"],
  ["-i", "--iter-time"],
]);

export function checkOptions(scheme: SchemeSpec, report: Report): void {
  scheme.luks.forEach(({ options }, i) => {
    checkLuks(options, (at, message) => report(`luks[${i}].options[${at}]`, message));
  });
  scheme.fss.forEach(({ mkfsOptions }, i) => {
    mkfsOptions.forEach((word, j) => {
      if (word.startsWith("/"))
        report(
          `fss[${i}].mkfs_options[${j}]`,
          `\`${word}\` is a device or a file; the device is the one of the plan, so remove it`,
        );
    });
  });
}

function checkLuks(words: string[], report: (at: number, message: string) => void): void {
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    const [option = "", value] = word.startsWith("--")
      ? word.split("=", 2)
      : [shortOptions.get(word) ?? word];
    const takesValue = luksOptions.get(option);
    if (takesValue === undefined || (!takesValue && value !== undefined)) {
      report(
        i,
        `\`${word}\` is not for a scheme to say: key, device, type and header are Muster's; remove it, or use one of ${[...luksOptions.keys()].join(", ")}`,
      );
    } else if (takesValue && value === undefined) {
      i++;
      if (words[i] === undefined || words[i]?.startsWith("-"))
        report(i - 1, `\`${word}\` has no value; add it`);
    }
  }
}
