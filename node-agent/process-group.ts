// The processes that a program has started with it: they are asked to end first, and made to end after a while.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** What a program has to put things in order after SIGTERM. */
export const graceMs = 5_000;
const pollMs = 50;

/** Ends every process of the group of this leader, and returns when none runs any more. */
export async function endGroup(leader: number): Promise<void> {
  signalGroup(leader, "SIGTERM");
  // A stopped process takes no signal but this one and SIGKILL.
  signalGroup(leader, "SIGCONT");
  for (let waitedMs = 0; waitedMs < graceMs; waitedMs += pollMs) {
    if (!isGroupAlive(leader)) return;
    await delay(pollMs);
  }
  signalGroup(leader, "SIGKILL");
}

/** False if there is no such group. */
function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-leader, signal);
    return true;
  } catch {
    return false;
  }
}

/** Processes that have ended and only wait for somebody to take note of it do not count. */
function isGroupAlive(leader: number): boolean {
  if (!signalGroup(leader, 0)) return false;
  return readdirSync("/proc").some((name) => /^\d+$/.test(name) && isMember(name, leader));
}

function isMember(pid: string, leader: number): boolean {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, "latin1");
    // After the name, which may have anything in it: state, parent, group.
    const [state = "", , group] = line.slice(line.lastIndexOf(")") + 2).split(" ");
    return Number(group) === leader && !"ZX".includes(state);
  } catch {
    return false;
  }
}
