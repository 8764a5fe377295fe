// The daemon's process: the real store, engine, decisions, effects and services, over a database that outlives it.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { MemoryLevel } from "memory-level";
import { pino } from "pino";
import { agentService } from "../../daemon/api/agents.ts";
import { enrollService } from "../../daemon/api/enroll.ts";
import { noFetchedFiles, noFiles } from "../../daemon/api/files-fixture.ts";
import type { Decision } from "../../daemon/domain/decision.ts";
import { restarted, tick } from "../../daemon/domain/watchdog.ts";
import { Effects } from "../../daemon/engine/effects.ts";
import { Engine } from "../../daemon/engine/engine.ts";
import { ProgressBoard } from "../../daemon/engine/progress.ts";
import { Sessions } from "../../daemon/engine/sessions.ts";
import type { Database } from "../../daemon/state/records.ts";
import { Store } from "../../daemon/state/store.ts";
import type {
  EnrollRequest,
  EnrollResponseSchema,
  SessionRequest,
  SessionResponseSchema,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import type { CallContext } from "../../proto/rpc/server.ts";
import type { SessionCall } from "./connection.ts";
import type { CrashPoint } from "./faults.ts";
import type { World } from "./world.ts";

const tickMs = 5_000;
const log = pino({ level: "silent" });
/** How far revisions go on above those that are forgotten. */
const epochLeap = 1_000_000n;
const never = () => new Promise<never>(() => {});

/** One life of the daemon's process. */
export type DaemonLife = {
  engine: Engine;
  store: Store;
  calls: Set<SessionCall>;
  startMs: number;
  session(
    requests: AsyncIterable<SessionRequest>,
    call: CallContext,
  ): AsyncIterable<MessageInitShape<typeof SessionResponseSchema>>;
  enroll(request: EnrollRequest): Promise<MessageInitShape<typeof EnrollResponseSchema>>;
};

export class DaemonProcess {
  readonly #world: World;
  readonly #database: Database = new MemoryLevel<string, Uint8Array>({ valueEncoding: "view" });
  #life: DaemonLife | undefined;
  /** Counts up with every start and crash: what belongs to an older life is void. */
  #generation = 0;
  /** How far its machine's clock is off. */
  clockOffsetMs = 0;
  commits = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get life(): DaemonLife | undefined {
    return this.#life;
  }

  async start(): Promise<void> {
    if (this.#life) return;
    const generation = ++this.#generation;
    const alive = () => this.#generation === generation;
    const { timeline, invariants, power, books } = this.#world;
    const store = await Store.open(this.#mortal(alive));
    await invariants.reopened(store);
    timeline.trace(`daemon starts at revision ${store.revision}`);
    const clock = () => timeline.nowMs + this.clockOffsetMs;
    const sessions = new Sessions();
    const effects = new Effects(power.drivers(alive), sessions, { remove: async () => {} }, log);
    const engine = new Engine({
      store,
      log,
      clock,
      steady: () => timeline.nowMs,
      publish: (changes) => alive() && invariants.published(changes),
      act: (wanted) => {
        for (const effect of wanted) {
          if (alive() && this.#world.daemonDies("before an effect")) this.crash("before an effect");
          if (!alive()) return;
          timeline.trace(`effect ${Object.values(effect).join(" ")}`);
          effects.act(engine, [effect]);
        }
      },
      fatal: (error) => invariants.violated(`the engine has failed: ${error.message} ${error.cause}`),
    });
    const after = timeline.timers(alive, () => this.clockOffsetMs).after;
    const context = {
      engine,
      sessions,
      progress: new ProgressBoard(),
      hub: { progress: () => {} },
      logs: {
        append: (...chunk: Parameters<typeof books.append>) => (alive() ? books.append(...chunk) : never()),
      },
      images: { signed: never },
      admit: () => ({ ticket: "", grpcAddress: "", httpAddress: "" }),
      secrets: {
        open: () => {
          throw new Error("the simulator has no secrets");
        },
      },
      files: noFiles,
      fetched: noFetchedFiles,
      log,
      clock,
    };
    const keyDigestOf = ({ certificate }: CallContext) => Buffer.from(certificate).toString();
    const agents = agentService(context, { after, keyDigestOf });
    const joining = enrollService({
      engine,
      ca: {
        joinToken: "token",
        keyDigest: async (csr) => csr,
        signNode: async (csr, node) => ({ certificate: `${node} ${csr}` }) as never,
      },
    });
    this.#life = {
      engine,
      store,
      calls: new Set(),
      startMs: timeline.nowMs,
      session: agents.session,
      enroll: (request) => joining.enroll(request, undefined as never),
    };
    this.decide(restarted);
    const beat = () => {
      this.decide(tick);
      after(tickMs, beat);
    };
    after(tickMs, beat);
  }

  /** The process is killed: what it had in memory and in flight is gone, its connections break. */
  crash(where: string): void {
    const life = this.#life;
    if (!life) return;
    this.#world.timeline.trace(`daemon is killed ${where}`);
    this.#generation++;
    this.#life = undefined;
    for (const call of life.calls) call.break(true);
    this.#world.timeline.after(this.#world.random.between(500, 60_000), () => this.start());
  }

  /** What `muster backup` would put into a file. */
  backUp(): Promise<[string, Uint8Array][]> {
    return this.#database.iterator().all();
  }

  /** The daemon ends, its state is replaced, and it starts again. */
  async restore(backup: [string, Uint8Array][]): Promise<void> {
    this.crash("to restore a backup");
    const { invariants, books } = this.#world;
    await this.#database.clear();
    await this.#database.batch(backup.map(([key, value]) => ({ type: "put" as const, key, value })));
    const store = await Store.open(this.#unclosed());
    const epoch = invariants.revision + epochLeap;
    await store.beginEpoch(epoch);
    invariants.restored();
    books.restored(epoch);
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

  /** It is in memory: what closes it would lose it. */
  #unclosed(): Database {
    return this.#mortal(() => true);
  }

  /** The database as this life sees it: writes of a dead process do not happen. */
  #mortal(alive: () => boolean): Database {
    const dies = (point: CrashPoint) => {
      if (alive() && this.#life && this.#world.daemonDies(point)) this.crash(point);
      return !alive();
    };
    const batch = (...operations: unknown[]) => {
      const write = async (really: () => Promise<void>) => {
        if (dies("before the write")) return never();
        await really();
        this.commits++;
        if (dies("after the write")) return never();
      };
      const [list] = operations;
      if (list) return write(() => this.#database.batch(list as never));
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
        write: () => write(() => chained.write()),
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
