// What would be different in a file, as `diff -u` says it.
import { CommandError, type Runner } from "./runner.ts";

/** Of what is larger, only the size is told. */
const diffLimit = 4 << 20;

/** `before`: undefined if there is no such file. */
export async function diffOf(
  path: string,
  before: Buffer | undefined,
  after: Buffer,
  run: Runner,
): Promise<string> {
  if (Math.max(before?.length ?? 0, after.length) > diffLimit) {
    return `${before?.length ?? 0} bytes become ${after.length}\n`;
  }
  const old = before ? path : "/dev/null";
  const argv = ["diff", "-u", "--label", old, "--label", path, old, "-"] as const;
  try {
    return (await run(argv, { input: after, okCodes: [0, 1] })).stdout;
  } catch (error) {
    // The file matters, its diff does not.
    if (error instanceof CommandError && error.code === -1) return "";
    throw error;
  }
}
