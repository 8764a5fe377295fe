// Debian packages: what is installed, and what apt would do or does.
import { setTimeout as delay } from "node:timers/promises";
import { CommandError, type RunResult } from "./runner.ts";
import type { StepContext } from "./step.ts";

export type PackageChange = { name: string; action: "install" | "upgrade" | "remove"; text: string };

const lockSeconds = 300;
const lockPollMs = 2_000;
const environment = { DEBIAN_FRONTEND: "noninteractive", APT_LISTCHANGES_FRONTEND: "none" };
/** Nobody is there to be asked about a configuration file that was changed: it stays. */
const keepConfig = ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"];

type Place = Pick<StepContext, "run" | "signal" | "log">;

/** Versions by name, with the architecture where dpkg says it: NAME:ARCHITECTURE. */
export class Installed {
  readonly versions = new Map<string, string>();
  #byPlainName = new Map<string, string>();

  add(name: string, plainName: string, version: string): void {
    this.versions.set(name, version);
    // The machine's own architecture is listed first.
    if (!this.#byPlainName.has(plainName)) this.#byPlainName.set(plainName, version);
  }

  version(name: string): string | undefined {
    return this.versions.get(name) ?? this.#byPlainName.get(name);
  }
}

export async function installedPackages({ run }: Place): Promise<Installed> {
  const fields = ["binary:Package", "Package", "Version", "db:Status-Status"];
  const format = `--showformat=${fields.map((field) => `$\{${field}}`).join("\\t")}\\n`;
  let listed: RunResult;
  try {
    listed = await run(["dpkg-query", "--show", format]);
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== -1) throw error;
    throw new CommandError("this node has no dpkg: package needs Debian or a system made from it", -1);
  }
  const installed = new Installed();
  for (const line of listed.stdout.split("\n")) {
    const [name = "", plainName = "", version = "", status = ""] = line.split("\t");
    if (status === "installed") installed.add(name, plainName, version);
  }
  return installed;
}

export async function updateLists(place: Place): Promise<void> {
  await whileLocked(place, () => aptGet(["update", "-q"], place));
}

/** What apt says that it would do; refuses what it would refuse then. Changes nothing. */
export async function simulate(argv: string[], place: Place): Promise<PackageChange[]> {
  const { stdout } = await aptGet(["--simulate", "-y", ...argv], place);
  return stdout.split("\n").flatMap((line): PackageChange[] => {
    const [, verb, name = "", before, after] =
      /^(Inst|Remv|Purg) (\S+)(?: \[([^\]]*)\])?(?: \((\S+) .*)?/.exec(line) ?? [];
    if (verb === undefined) return [];
    if (verb !== "Inst") return [{ name, action: "remove", text: before ?? "" }];
    if (before === undefined) return [{ name, action: "install", text: after ?? "" }];
    return [{ name, action: "upgrade", text: `${before} -> ${after}` }];
  });
}

/** Does it. A run that was killed before is brought to its end first. */
export async function apply(argv: string[], place: Place): Promise<void> {
  const work = () => aptGet(["-y", "-q", ...keepConfig, ...argv], place);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof CommandError) || !/dpkg was interrupted/.test(error.output)) throw error;
    place.log("a run of dpkg was interrupted before, and is brought to its end first");
    const options = ["--force-confdef", "--force-confold"];
    await place.run(["dpkg", ...options, "--configure", "-a"], { env: environment, timeoutMs: Infinity });
    await work();
  }
}

/** Whether apt has failed because it knows no such package or version: newer lists may help. */
export function isUnknownPackage(error: unknown): boolean {
  return (
    error instanceof CommandError &&
    /Unable to locate package|has no installation candidate|Version '.*' for '.*' was not found|Couldn't find any package/.test(
      error.output,
    )
  );
}

/** apt waits for dpkg's lock by itself, but not for that of the lists. */
async function whileLocked(place: Place, work: () => Promise<unknown>): Promise<void> {
  const until = performance.now() + lockSeconds * 1000;
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      const isLocked = error instanceof CommandError && /Could not get lock/.test(error.output);
      if (!isLocked || performance.now() > until) throw error;
      await delay(lockPollMs, undefined, { signal: place.signal });
    }
  }
}

async function aptGet(argv: string[], { run }: Place): Promise<RunResult> {
  const options = ["-o", `DPkg::Lock::Timeout=${lockSeconds}`];
  return run(["apt-get", ...options, ...argv], { env: environment, timeoutMs: Infinity });
}
