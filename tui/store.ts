// The screens' cache of the daemon's state: fed by Watch, published as one immutable snapshot at most ten
// times a second, with the state and age of the connection beside it.
import { applyResponse, copyWorld, emptyWorld, type World } from "./model.ts";
import type { FeedItem } from "./watch.ts";

export type Link = {
  /** `connecting` until a snapshot is complete; `broken` while the stream is down. */
  state: "connecting" | "live" | "broken";
  reason: string;
};

export type Snapshot = {
  world: World;
  link: Link;
  /** When the daemon last said anything; undefined before its first word. */
  lastMessageAt: number | undefined;
};

const publishIntervalMs = 100;
/** Bookmarks come every 10 s: after this long silence nothing on the screen may be taken as current. */
const staleAfterMs = 15_000;

export class Store {
  #snapshot: Snapshot = {
    world: emptyWorld(),
    link: { state: "connecting", reason: "" },
    lastMessageAt: undefined,
  };
  /** Changes go here; it replaces the published world when its snapshot is complete. */
  #draft: World = emptyWorld();
  #link: Link = this.#snapshot.link;
  #lastMessageAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getSnapshot = (): Snapshot => this.#snapshot;

  /** Takes the feed until it ends. */
  async run(feed: AsyncIterable<FeedItem>): Promise<void> {
    try {
      for await (const item of feed) this.take(item);
    } finally {
      clearTimeout(this.#timer);
    }
  }

  take(item: FeedItem): void {
    if (item.kind === "restart") {
      // What was complete but not yet published is the last that is known until the new snapshot ends.
      if (this.#draft.complete) this.publish();
      this.#draft = emptyWorld();
      if (this.#link.state === "live") this.#link = { state: "connecting", reason: "" };
    } else if (item.kind === "broken") {
      this.#link = { state: "broken", reason: item.error.message };
    } else {
      applyResponse(this.#draft, item.response);
      this.#lastMessageAt = this.#now();
      if (this.#draft.complete) this.#link = { state: "live", reason: "" };
    }
    this.#timer ??= setTimeout(() => this.publish(), publishIntervalMs);
  }

  publish(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Half a snapshot would look as if the rest had been deleted.
    const world = this.#draft.complete ? copyWorld(this.#draft) : this.#snapshot.world;
    this.#snapshot = { world, link: this.#link, lastMessageAt: this.#lastMessageAt };
    for (const listener of this.#listeners) listener();
  }
}

/** Whether what is shown may be taken as the state of now. */
export function isLive({ link, lastMessageAt }: Snapshot, now: number): boolean {
  return link.state === "live" && lastMessageAt !== undefined && now - lastMessageAt < staleAfterMs;
}
