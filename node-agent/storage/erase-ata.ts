// Having an ATA disk erase itself, with the security commands that it reports.

import { CommandError } from "../runner.ts";
import type { MachineDisk } from "./disks.ts";
import type { EraseMethod } from "./erase-method.ts";
import type { StorageContext } from "./wait.ts";

export type AtaSecurity = {
  supported: boolean;
  enhanced: boolean;
  frozen: boolean;
  enabled: boolean;
  minutes: number;
};

/** Only for as long as the erase takes, which ends it. Known, so that a disk that lost power can be unlocked. */
const password = "muster";

/** From the output of `hdparm -I`. */
export function parseSecurity(text: string): AtaSecurity {
  const section = /^Security:\s*\n((?:[ \t].*\n?)*)/m.exec(text)?.[1] ?? "";
  // Each line is a word, or "not" and the word.
  const has = (word: string) => new RegExp(`^\\s*${word}`, "m").test(section);
  const minutes = [...section.matchAll(/(\d+)min for (ENHANCED )?SECURITY ERASE UNIT/g)].map(([, number]) =>
    Number(number),
  );
  return {
    supported: has("supported\\s*$"),
    enhanced: has("supported: enhanced erase"),
    frozen: has("frozen"),
    enabled: has("enabled"),
    minutes: Math.max(0, ...minutes),
  };
}

export async function ataErase(disk: MachineDisk, context: StorageContext): Promise<EraseMethod | undefined> {
  const { run, signal, log } = context;
  const { path } = disk;
  if (!/^\/dev\/sd[a-z]+$/.test(path)) return undefined;
  // Any code: disks behind RAID controllers and virtual ones answer with errors.
  const { stdout } = await run(["hdparm", "-I", path], { signal, okCodes: [0, 1, 2, 5, 19, 22, 25] });
  const security = parseSecurity(stdout);
  if (!security.supported || security.frozen || security.enabled) {
    const reason = !security.supported
      ? "has none"
      : security.frozen
        ? "is frozen by the firmware"
        : "is locked by a password";
    log(`${path}: ATA secure erase cannot be used: its security feature ${reason}`);
    return undefined;
  }
  const user = ["hdparm", "--user-master", "u"] as const;
  // Twice the time that the disk asks for, and at least an hour.
  const timeoutMs = Math.max(60, security.minutes * 2) * 60_000;
  const erase = security.enhanced ? "--security-erase-enhanced" : "--security-erase";
  await run([...user, "--security-set-pass", password, path], { signal });
  try {
    await run([...user, erase, password, path], { signal, timeoutMs });
  } catch (error) {
    if (!(error instanceof CommandError) || signal.aborted) throw error;
    // The disk refused. The password must not stay.
    await run([...user, "--security-disable", password, path]);
    log(`${path} refused its secure erase: ${error.message}`);
    return undefined;
  }
  return security.enhanced
    ? { name: "ATA enhanced secure erase", leaves: "noise" }
    : { name: "ATA secure erase", leaves: "zeros" };
}
