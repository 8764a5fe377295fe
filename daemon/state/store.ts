// The records of the daemon in LevelDB. One synced batch per commit: records, change log and revision
// together, so that after a crash either all of a decision is there or nothing.
//
//   m/schema     version of this layout        m/revision   last revision
//   r/NAME       a Resource                    c/REV/N      the Nth change of a revision, a WatchResponse
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { AbstractLevel } from "abstract-level";
import {
  type Resource,
  ResourceSchema,
  type WatchResponse,
  WatchResponseSchema,
} from "../../proto/gen/muster/v1/watch_pb.ts";
import { type Change, resourceName, State } from "../domain/state.ts";

export type Database = AbstractLevel<string | Buffer | Uint8Array, string, Uint8Array>;

/** The state directory cannot be used; the message says why and what to do. */
export class StoreError extends Error {
  override name = "StoreError";
}

const schemaVersion = 1;
/** How many changes are kept for watchers that resume, and how many events for people. */
const limits = { changes: 20_000, events: 2_000 };

export class Store implements AsyncDisposable {
  readonly state: State;
  #revision: bigint;
  readonly #database: Database;
  readonly #log: { revision: bigint; changes: WatchResponse[] }[] = [];
  #logged = 0;

  private constructor(database: Database, state: State, revision: bigint) {
    this.#database = database;
    this.state = state;
    this.#revision = revision;
  }

  static async open(database: Database): Promise<Store> {
    const schema = await database.get("m/schema");
    const found = schema ? Number(Buffer.from(schema).toString()) : schemaVersion;
    if (found > schemaVersion) {
      throw new StoreError(
        `the state is of version ${found}, this muster knows ${schemaVersion}: start a newer muster`,
      );
    }
    const stored = await database.get("m/revision");
    const store = new Store(database, new State(), stored ? BigInt(Buffer.from(stored).toString()) : 0n);
    for await (const [key, value] of database.iterator({ gt: "r/", lt: "r0" })) {
      store.state.apply({ put: decode(key, value) });
    }
    store.state.orderSteps();
    for await (const [key, value] of database.iterator({ gt: "c/", lt: "c0" })) {
      store.#remember(decodeChange(key, value));
    }
    if (!schema)
      await database
        .batch()
        .put("m/schema", Buffer.from(`${schemaVersion}`))
        .write({ sync: true });
    return store;
  }

  get revision(): bigint {
    return this.#revision;
  }

  /** The oldest revision after which a watch can resume. */
  get oldestRevision(): bigint {
    return (this.#log[0]?.revision ?? this.#revision + 1n) - 1n;
  }

  /** Gives the changes of one decision their revision, as they will be stored and watched. */
  number(changes: readonly Change[], revision: bigint): WatchResponse[] {
    let part = 0;
    return changes.map((change) => {
      if ("delete" in change) {
        return create(WatchResponseSchema, { revision, change: { case: "deleted", value: change.delete } });
      }
      const { kind } = change.put;
      if (kind.case === "event") {
        // Several events of one revision need keys of their own: the revision with three digits for the part.
        const value = { ...kind.value, revision: revision * 1000n + BigInt(part++) };
        const resource = create(ResourceSchema, { kind: { case: "event", value } });
        return create(WatchResponseSchema, { revision, change: { case: "put", value: resource } });
      }
      if (kind.value) kind.value.revision = revision;
      return create(WatchResponseSchema, { revision, change: { case: "put", value: change.put } });
    });
  }

  /** Stores numbered changes durably. They are in `state` afterwards, and in the log. */
  async commit(numbered: WatchResponse[]): Promise<void> {
    if (!numbered.length) return;
    const batch = this.#database.batch();
    let revision = this.#revision;
    let part = 0;
    for (const response of numbered) {
      part = response.revision === revision ? part + 1 : 0;
      revision = response.revision;
      batch.put(changeKey(revision, part), toBinary(WatchResponseSchema, response));
      if (response.change.case === "deleted") batch.del(`r/${response.change.value}`);
      if (response.change.case === "put") {
        const resource = response.change.value;
        batch.put(`r/${recordKey(resource)}`, toBinary(ResourceSchema, resource));
        if (resource.kind.case === "event") this.state.apply({ put: resource });
      }
      this.#remember(response);
    }
    this.#compact(batch);
    batch.put("m/revision", Buffer.from(`${revision}`));
    await batch.write({ sync: true });
    this.#revision = revision;
  }

  /** The changes after a revision, or undefined if they are no longer all there. */
  changesAfter(revision: bigint): WatchResponse[] | undefined {
    if (revision < this.oldestRevision) return undefined;
    return this.#log.filter((entry) => entry.revision > revision).flatMap(({ changes }) => changes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database.close();
  }

  #remember(response: WatchResponse): void {
    const last = this.#log.at(-1);
    if (last?.revision === response.revision) last.changes.push(response);
    else this.#log.push({ revision: response.revision, changes: [response] });
    this.#logged++;
  }

  #compact(batch: ReturnType<Database["batch"]>): void {
    while (this.#logged > limits.changes) {
      const oldest = this.#log.shift();
      if (!oldest) return;
      oldest.changes.forEach((_, part) => {
        batch.del(changeKey(oldest.revision, part));
      });
      this.#logged -= oldest.changes.length;
    }
    const { events } = this.state;
    for (const event of events.splice(0, Math.max(0, events.length - limits.events))) {
      batch.del(`r/${recordKey(create(ResourceSchema, { kind: { case: "event", value: event } }))}`);
    }
  }
}

const digits = (value: bigint, length: number) => `${value}`.padStart(length, "0");

function changeKey(revision: bigint, part: number): string {
  return `c/${digits(revision, 16)}/${digits(BigInt(part), 6)}`;
}

// Events are read back in their order; everything else is found by name.
function recordKey(resource: Resource): string {
  const { kind } = resource;
  return kind.case === "event" ? `event/${digits(kind.value.revision, 19)}` : resourceName(resource);
}

function decode(key: string, value: Uint8Array): Resource {
  try {
    return fromBinary(ResourceSchema, value);
  } catch (cause) {
    throw new StoreError(`record ${key} is damaged: restore the state directory from a backup`, { cause });
  }
}

function decodeChange(key: string, value: Uint8Array): WatchResponse {
  try {
    return fromBinary(WatchResponseSchema, value);
  } catch (cause) {
    throw new StoreError(`change ${key} is damaged: restore the state directory from a backup`, { cause });
  }
}
