// The daemon's process: the real store, engine, decisions and effects, over a database that outlives it.
import { create } from "@bufbuild/protobuf";
import { MemoryLevel } from "memory-level";
import { pino } from "pino";
import type { Decision } from "../../daemon/domain/decision.ts";
import { restarted, tick } from "../../daemon/domain/report.ts";
import { Effects } from "../../daemon/engine/effects.ts";
import { Engine } from "../../daemon/engine/engine.ts";
import { Sessions } from "../../daemon/engine/sessions.ts";
import { type Database, Store } from "../../daemon/state/store.ts";
import {
  type Assign,
  type SessionResponse,
  SessionResponseSchema,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import type { CrashPoint } from "./faults.ts";
import type { Link } from "./link.ts";
import type { World } from "./world.ts";

const tickMs = 5_000;
const log = pino({ level: "silent" });
const never = () => new Promise<never>(() => {});

/** One life of the daemon's process. */
type Life = { engine: Engine; store: Store; links: Map<string, Link>; startMs: number };

export class DaemonProcess {
  readonly #world: World;
  readonly #database: Database = new MemoryLevel<string, Uint8Array>({ valueEncoding: "view" });
  #life: Life | undefined;
  /** Counts up with every start and crash: what belongs to an older life is void. */
  #generation = 0;
  commits = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get life(): Life | undefined {
    return this.#life;
  }

  get database(): Database {
    return this.#database;
  }

  async start(): Promise<void> {
    if (this.#life) return;
    const generation = ++this.#generation;
    const alive = () => this.#generation === generation;
    const { timeline, invariants, power } = this.#world;
    const store = await Store.open(this.#mortal(alive));
    invariants.reopened(store);
    timeline.trace(`daemon starts at revision ${store.revision}`);
    const links = new Map<string, Link>();
    const effects = new Effects(
      power.drivers(alive),
      new LinkSessions(links, (assign) => invariants.assigned(assign)),
      log,
    );
    const engine = new Engine({
      store,
      log,
      clock: () => timeline.nowMs,
      publish: (changes) => alive() && invariants.published(changes),
      act: (wanted) => {
        for (const effect of wanted) {
          if (alive() && this.#world.daemonDies("before an effect")) this.crash("before an effect");
          if (!alive()) return;
          timeline.trace(`effect ${Object.values(effect).join(" ")}`);
          effects.act(engine, [effect]);
        }
      },
      fatal: (error) => invariants.violated(`the engine has failed: ${error.message}`),
    });
    this.#life = { engine, store, links, startMs: timeline.nowMs };
    this.decide(restarted);
    const beat = () => {
      if (!alive()) return;
      this.decide(tick);
      timeline.after(tickMs, beat);
    };
    timeline.after(tickMs, beat);
  }

  /** The process is killed: what it had in memory and in flight is gone, its connections break. */
  crash(where: string): void {
    const life = this.#life;
    if (!life) return;
    this.#world.timeline.trace(`daemon is killed ${where}`);
    this.#generation++;
    this.#life = undefined;
    for (const link of life.links.values()) link.break();
    this.#world.timeline.after(this.#world.random.between(500, 60_000), () => this.start());
  }

  decide(work: (decision: Decision) => void): void {
    this.ask(work)?.catch(() => {});
  }

  /** The answer comes once it is stored; never, if the daemon dies before that. Undefined without a daemon. */
  ask<T>(work: (decision: Decision) => T): Promise<T> | undefined {
    const answer = this.#life?.engine.decide(work);
    answer?.catch((error: Error) => this.#world.invariants.violated(`a decision failed: ${error.stack}`));
    return answer;
  }

  accept(link: Link): boolean {
    if (!this.#life) return false;
    this.#life.links.get(link.node)?.break();
    this.#life.links.set(link.node, link);
    return true;
  }

  isCurrent(link: Link): boolean {
    return this.#life?.links.get(link.node) === link;
  }

  forget(link: Link): boolean {
    return this.isCurrent(link) && (this.#life?.links.delete(link.node) ?? false);
  }

  /** The database as this life sees it: writes of a dead process do not happen. */
  #mortal(alive: () => boolean): Database {
    const dies = (point: CrashPoint) => {
      if (alive() && this.#life && this.#world.daemonDies(point)) this.crash(point);
      return !alive();
    };
    const batch = () => {
      const chained = this.#database.batch();
      const self = {
        put: (key: string, value: Uint8Array) => {
          chained.put(key, value);
          return self;
        },
        del: (key: string) => {
          chained.del(key);
          return self;
        },
        write: async () => {
          if (dies("before the write")) return never();
          await chained.write();
          this.commits++;
          if (dies("after the write")) return never();
        },
      };
      return self;
    };
    return new Proxy(this.#database, {
      get: (target, name) => {
        if (name === "batch") return batch;
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }
}

/** Messages go over the simulated network instead of a gRPC stream. */
class LinkSessions extends Sessions {
  readonly #links: Map<string, Link>;
  readonly #assigned: (assign: Assign) => void;

  constructor(links: Map<string, Link>, assigned: (assign: Assign) => void) {
    super();
    this.#links = links;
    this.#assigned = assigned;
  }

  override send(node: string, message: Parameters<Sessions["send"]>[1]): void {
    const response: SessionResponse = create(SessionResponseSchema, { message });
    if (response.message.case === "assign") this.#assigned(response.message.value);
    this.#links.get(node)?.toAgent(response);
  }
}
