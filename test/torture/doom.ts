// How a daemon of the torture kills itself: at the Nth time that it comes to one of its durable boundaries. Between
// the write of a decision and its effects nobody outside could ever hit it.
import type { DaemonParts } from "../../daemon/daemon.ts";
import type { Database } from "../../daemon/state/store.ts";

export const boundaries = ["before-write", "after-write", "amid-effects"] as const;

export type Doom = {
  at: (typeof boundaries)[number];
  /** The first is 1. */
  count: number;
  /** How long the effects that have begun go on. */
  lagMs: number;
};

export function doomedParts(doom: Doom | undefined): Required<Pick<DaemonParts, "wrapDatabase" | "wrapAct">> {
  let left = doom?.count ?? 0;
  const arrive = (boundary: Doom["at"]) => {
    if (!doom || boundary !== doom.at || --left !== 0) return;
    if (doom.lagMs) setTimeout(dieAtOnce, doom.lagMs);
    else dieAtOnce();
  };
  const durably = async (write: () => Promise<void>) => {
    arrive("before-write");
    await write();
    arrive("after-write");
  };
  return {
    wrapDatabase: (database) => watchWrites(database, durably),
    // One effect at a time, so that there is a middle.
    wrapAct: (act) => (effects) => {
      for (const effect of effects) {
        act([effect]);
        arrive("amid-effects");
      }
    },
  };
}

function dieAtOnce(): void {
  process.kill(process.pid, "SIGKILL");
}

type Durably = (write: () => Promise<void>) => Promise<void>;

/** Both forms of a batch: an array of operations, and a chain that is written in the end. */
function watchWrites(database: Database, durably: Durably): Database {
  return new Proxy(database, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      if (key !== "batch") return value.bind(target);
      return (...args: unknown[]) =>
        args.length ? durably(() => value.apply(target, args)) : watchChain(target.batch(), durably);
    },
  });
}

function watchChain<Chain extends object>(chain: Chain, durably: Durably): Chain {
  const watched: Chain = new Proxy(chain, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      if (key === "write") return (...args: unknown[]) => durably(() => value.apply(target, args));
      return (...args: unknown[]) => {
        const result: unknown = value.apply(target, args);
        return result === target ? watched : result;
      };
    },
  });
  return watched;
}
