// Which source is asked for what: the best that is there and has not lied, and for a chunk that was wrong somewhere
// another one. Knows nothing of connections.
import { setTimeout as delay } from "node:timers/promises";
import { type ImageSource, ImageSource_Kind } from "../../proto/gen/muster/v1/delivery_pb.ts";
import { Backoff } from "../backoff.ts";
import { type Fault, SourceFault } from "./faults.ts";

/** How long all sources may be away. */
export const patienceMs = 2 * 60_000;
/** What is flipped on the way comes right the second time; what is wrong in a store does not. */
const triesPerSource = 2;

type Standing = {
  source: ImageSource;
  /** How often it has given something wrong. */
  lies: number;
  restsUntil: number;
  backoff: Backoff;
  lastFault: string;
};

export type SourcesOptions = {
  signal: AbortSignal;
  /** Tells the daemon that a source gives something other than what was asked for. */
  report(source: ImageSource, fault: string): Promise<void>;
  /** Where the image is to be had now, with new tickets; absent if that cannot change. */
  relocate?(): Promise<ImageSource[]>;
  log(line: string): void;
  patienceMs?: number;
};

export class Sources {
  readonly #options: SourcesOptions;
  #standings: Standing[];
  /** By chunk: how often each source failed to give it, by its name. */
  readonly #failures = new Map<number, Map<string, number>>();
  #failingSince: number | undefined;
  #relocating: Promise<void> | undefined;

  constructor(sources: readonly ImageSource[], options: SourcesOptions) {
    this.#options = options;
    this.#standings = sources.filter(isUsable).map((source) => standing(source));
  }

  /**
   * The best source; with a chunk that was wrong before, the best of those that gave it wrong least often. Waits
   * while all are away. Throws when they are away for too long, or when none has the chunk right.
   */
  async pick(chunk?: number): Promise<ImageSource> {
    for (;;) {
      this.#options.signal.throwIfAborted();
      if (this.#standings.length === 0) {
        throw new Error("there is no source for the image. See `muster doctor`, and retry the step.");
      }
      const now = performance.now();
      const candidates = this.#candidates(chunk);
      const awake = candidates.find(({ restsUntil }) => restsUntil <= now);
      if (awake) return awake.source;
      const earliest = Math.min(...candidates.map(({ restsUntil }) => restsUntil));
      if (this.#failingSince !== undefined && now - this.#failingSince > this.#patienceMs) {
        throw new Error(`no source gives the image: ${this.#describe()}. Look at them and retry the step.`);
      }
      await delay(Math.max(earliest - now, 1), undefined, { signal: this.#options.signal });
      await this.#relocate();
    }
  }

  /** Something came, from whichever source. */
  succeeded(source: ImageSource): void {
    this.#failingSince = undefined;
    this.#find(source)?.backoff.reset();
  }

  async failed(source: ImageSource, fault: Fault): Promise<void> {
    const one = this.#find(source);
    if (!one || fault.kind === "interrupted") return;
    one.lastFault = fault.message;
    this.#options.log(`${nameOf(source)}: ${fault.message}`);
    const isAboutChunk = fault.chunk !== undefined && (fault.kind === "wrong" || fault.kind === "missing");
    if (!isAboutChunk) {
      this.#failingSince ??= performance.now();
      one.restsUntil = performance.now() + one.backoff.next();
      // A new ticket may open what the old one does not.
      if (fault.kind === "denied") await this.#relocate();
      return;
    }
    const chunk = fault.chunk ?? 0;
    const failures = this.#failures.get(chunk) ?? new Map<string, number>();
    this.#failures.set(chunk, failures.set(nameOf(source), (failures.get(nameOf(source)) ?? 0) + 1));
    one.lies++;
    // Not by their former order: among those that have lied least the order stays.
    this.#standings.sort((a, b) => a.lies - b.lies);
    if (fault.kind === "wrong") {
      const told = this.#options.report(source, `chunk ${chunk}: ${fault.message}`);
      await told.catch((error: unknown) => this.#options.log(`the daemon could not be told: ${error}`));
    }
  }

  /** Chunks have to be asked for one by one where a source has failed to give them. */
  isContested(chunk: number): boolean {
    return this.#failures.has(chunk);
  }

  get #patienceMs(): number {
    return this.#options.patienceMs ?? patienceMs;
  }

  /** Those that may still be asked, best first; all of them for what nobody has failed to give. */
  #candidates(chunk: number | undefined): Standing[] {
    const failures = chunk === undefined ? undefined : this.#failures.get(chunk);
    if (!failures) return this.#standings;
    const count = ({ source }: Standing) => failures.get(nameOf(source)) ?? 0;
    const least = Math.min(...this.#standings.map(count));
    if (least >= triesPerSource) {
      throw new SourceFault({ kind: "wrong", message: this.#describe(), chunk });
    }
    return this.#standings.filter((one) => count(one) === least);
  }

  #find(source: ImageSource): Standing | undefined {
    return this.#standings.find((one) => nameOf(one.source) === nameOf(source));
  }

  #describe(): string {
    return this.#standings
      .map(({ source, lastFault }) => `${nameOf(source)}: ${lastFault || "-"}`)
      .join("; ");
  }

  /** Several lanes may find a source away at the same time; one of them asks. */
  #relocate(): Promise<void> {
    this.#relocating ??= this.#askAnew().finally(() => {
      this.#relocating = undefined;
    });
    return this.#relocating;
  }

  async #askAnew(): Promise<void> {
    const fresh = await this.#options.relocate?.().catch(() => []); // the daemon may be away itself
    if (!fresh || fresh.length === 0) return;
    const usable = fresh.filter(isUsable);
    const known = new Map(this.#standings.map((one) => [nameOf(one.source), one]));
    this.#standings = usable.map((source) => ({
      ...(known.get(nameOf(source)) ?? standing(source)),
      source,
    }));
    this.#standings.sort((a, b) => a.lies - b.lies);
  }
}

/** A torrent is one when it was joined: its chunks are in a directory then. */
export function isUsable({ kind, address }: ImageSource): boolean {
  return kind !== ImageSource_Kind.TORRENT || address.startsWith("/");
}

function standing(source: ImageSource): Standing {
  return { source, lies: 0, restsUntil: 0, backoff: new Backoff(Math.random, firstRestMs), lastFault: "" };
}

/** After it worked, a source is tried again soon: it is one connection of one node. */
const firstRestMs = 1_000;

const ways: Record<ImageSource_Kind, string> = {
  [ImageSource_Kind.UNSPECIFIED]: "unknown",
  [ImageSource_Kind.GRPC]: "grpc",
  [ImageSource_Kind.HTTP]: "http",
  [ImageSource_Kind.TORRENT]: "torrent",
};

/** For people, and to know a source again: its address and ticket may change. */
export function nameOf({ kind, mirror, address }: ImageSource): string {
  const way = ways[kind];
  if (mirror) return `mirror ${mirror} (${way})`;
  return `the daemon (${way} ${hostOf(address)})`;
}

function hostOf(address: string): string {
  return /^(?:[a-z]+:\/\/)?([^/]+?)(?::\d+)?(?:\/|$)/.exec(address)?.[1] ?? address;
}
