// The records of the daemon. One synced batch per commit: records, change log and revision together, so that
// after a crash either all of a decision is there or nothing. records.ts shows the layout.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Attempt } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { RequestRecordSchema, SecretRecordSchema } from "../../proto/gen/muster/v1/record_pb.ts";
import {
  type Resource,
  ResourceSchema,
  type WatchResponse,
  WatchResponseSchema,
} from "../../proto/gen/muster/v1/watch_pb.ts";
import { type Change, State } from "../domain/state.ts";
import { type AttemptFilter, attemptKeys, readAttempts } from "./attempts.ts";
import { Census } from "./census.ts";
import { ChangeLog } from "./change-log.ts";
import { encodeResource, putResponse } from "./encode.ts";
import { asStoreError, damaged } from "./errors.ts";
import { head, migrate, readHead, schemaVersion } from "./migrations.ts";
import {
  asResource,
  attemptOrderKey,
  below,
  changeKey,
  type Database,
  decodeRecord,
  encodeResponse,
  eventKey,
  pages,
  recordKey,
  requestKey,
  revisionOf,
  seal,
  secretKey,
  unseal,
} from "./records.ts";
import type { Witness } from "./witness.ts";

/** How many changes are kept for watchers that resume, and how many events for people. */
const limits = { changes: 20_000, bytes: 64 << 20, events: 2_000 };

/** Several events of one revision need numbers of their own. */
const eventsPerRevision = 1_000_000n;

/** What is written at once: sealed values by key, undefined for what is deleted. */
type Writes = Map<string, Uint8Array | undefined>;

export type { Database };

export class Store implements AsyncDisposable {
  readonly state = new State();
  readonly #database: Database;
  readonly #witness: Witness | undefined;
  readonly #census = new Census();
  readonly #log = new ChangeLog(limits);
  #revision = 0n;
  /** The last revision that was given out, and what was numbered but is not watched. */
  #numbered = 0n;
  #unwatched: Writes = new Map();
  /** What is beyond the limits; the next commit deletes it. */
  #expired: string[] = [];
  #failure: Error | undefined;

  private constructor(database: Database, witness: Witness | undefined) {
    this.#database = database;
    this.#witness = witness;
  }

  /** Takes the database over: it is closed with the store, or when it cannot be used. */
  static async open(database: Database, witness?: Witness): Promise<Store> {
    const store = new Store(database, witness);
    try {
      await migrate(database);
      await store.#load();
      witness?.check(store.revision);
      return store;
    } catch (error) {
      await database.close();
      witness?.close();
      throw asStoreError("the database", error);
    }
  }

  get revision(): bigint {
    return this.#revision;
  }

  /** The oldest revision after which a watch can resume. */
  get oldestRevision(): bigint {
    return (this.#log.oldest ?? this.#revision + 1n) - 1n;
  }

  /** Gives the changes of one decision their revision, as they will be stored and watched. */
  number(changes: readonly Change[], revision: bigint): WatchResponse[] {
    this.#numbered = revision;
    let events = 0n;
    const numbered: WatchResponse[] = [];
    for (const change of changes) {
      if ("put" in change) {
        const resource = withRevision(change.put, revision, () => events++);
        numbered.push(create(WatchResponseSchema, { revision, change: { case: "put", value: resource } }));
      } else if ("delete" in change) {
        numbered.push(
          create(WatchResponseSchema, { revision, change: { case: "deleted", value: change.delete } }),
        );
      } else this.#keep(change);
    }
    return numbered;
  }

  #keep(change: Exclude<Change, { put: Resource } | { delete: string }>): void {
    const write = (key: string, content: Uint8Array) => this.#unwatched.set(key, seal(key, content));
    if ("request" in change) {
      write(requestKey(change.request.requestId), toBinary(RequestRecordSchema, change.request));
    } else if ("secret" in change) {
      write(secretKey(change.secret.secret?.name ?? ""), toBinary(SecretRecordSchema, change.secret));
    } else if ("forgetRequest" in change) this.#unwatched.set(requestKey(change.forgetRequest), undefined);
    else this.#unwatched.set(secretKey(change.forgetSecret), undefined);
  }

  /** Stores what was numbered since the last commit, durably. It is in `state` and in the log afterwards. */
  async commit(numbered: readonly WatchResponse[]): Promise<void> {
    if (this.#failure) throw this.#failure;
    const revision = this.#numbered;
    if (revision <= this.#revision) return;
    try {
      const writes = this.#unwatched;
      this.#unwatched = new Map();
      const sizes = await this.#collect(numbered, writes);
      await this.#write(writes, revision);
      numbered.forEach((response, i) => {
        this.#log.add(response.revision, sizes[i] ?? 0, () => response);
      });
      this.#expire();
    } catch (error) {
      // What LevelDB would append after a failed write could be lost when its log is read.
      this.#failure = asStoreError("the database", error, "unwritable");
      throw this.#failure;
    }
  }

  /** The changes after a revision, or undefined if they are no longer all there, or never were. */
  changesAfter(revision: bigint): WatchResponse[] | undefined {
    if (revision < this.oldestRevision || revision > this.#revision) return undefined;
    return this.#log.after(revision);
  }

  /** The newest first; a page goes on after attemptCursor() of the last one. */
  attempts(filter: AttemptFilter, after: string | undefined, limit: number): Promise<Attempt[]> {
    return readAttempts(this.#database, filter, after, limit);
  }

  /** Every record as it is at this moment, while the store goes on. */
  async copy() {
    const snapshot = this.#database.snapshot();
    const revision = await this.#database.get("m/revision", { snapshot });
    return {
      schemaVersion,
      revision: BigInt(decodeRecord("m/revision", revision ?? new Uint8Array(), asText)),
      records: () => pages(this.#database.iterator({ snapshot })),
      [Symbol.asyncDispose]: () => snapshot.close(),
    };
  }

  /**
   * Begins a new age after a restore: what was decided after the backup is forgotten here but not elsewhere, so
   * revisions and fences go on far above it, and no watch resumes from before.
   */
  async beginEpoch(revision: bigint): Promise<void> {
    const writes: Writes = new Map();
    for await (const page of pages(this.#database.keys(below("c/")))) {
      for (const key of page) writes.set(key, undefined);
    }
    writes.set(...head("epoch", BigInt(await readHead(this.#database, "epoch")) + 1n));
    await this.#write(writes, revision);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database.close();
    this.#witness?.close(this.#revision);
  }

  async #load(): Promise<void> {
    const database = this.#database;
    this.#revision = BigInt(await readHead(database, "revision"));
    this.#numbered = this.#revision;
    await this.#read("r/", (key, value) => this.state.apply({ put: decodeRecord(key, value, asResource) }));
    for (const name of this.state.deployments.keys()) this.state.orderSteps(name);
    await this.#loadRequests();
    await this.#read("s/", (key, value) => this.state.apply({ secret: decodeRecord(key, value, asSecret) }));
    await this.#read("c/", (key, value) => {
      const content = unseal(key, value);
      this.#log.add(revisionOf(key), value.length, () => asResponse(content));
    });
    const census = await readHead(database, "census");
    if (census !== `${this.#census}`) {
      throw damaged(
        `the database has lost records or changes (${census} were stored, ${this.#census} are there)`,
      );
    }
    this.#expire();
  }

  async #loadRequests(): Promise<void> {
    const requests: ReturnType<typeof asRequest>[] = [];
    await this.#read("q/", (key, value) => requests.push(decodeRecord(key, value, asRequest)));
    const time = ({ time }: ReturnType<typeof asRequest>) => (time ? timestampMs(time) : 0);
    for (const request of requests.sort((a, b) => time(a) - time(b))) this.state.apply({ request });
  }

  async #read(prefix: string, take: (key: string, value: Uint8Array) => void): Promise<void> {
    for await (const page of pages(this.#database.iterator(below(prefix)))) {
      for (const [key, value] of page) {
        take(key, value);
        this.#census.put(key, value);
      }
    }
  }

  /** Adds the changes to what will be written; gives the size of each. */
  async #collect(numbered: readonly WatchResponse[], writes: Writes): Promise<number[]> {
    const sizes: number[] = [];
    const write = (key: string, content: Uint8Array) => writes.set(key, seal(key, content));
    for (const key of this.#expired) writes.set(key, undefined);
    let part = 0;
    let revision = 0n;
    for (const response of numbered) {
      part = response.revision === revision ? part + 1 : 0;
      revision = response.revision;
      let content: Uint8Array;
      if (response.change.case === "put") {
        const resource = response.change.value;
        const { kind } = resource;
        const encoded = encodeResource(resource);
        content = putResponse(revision, encoded);
        write(recordKey(resource), encoded);
        if (kind.case === "event") this.state.apply({ put: resource });
        if (kind.case === "attempt") write(attemptOrderKey(kind.value), new Uint8Array());
      } else {
        content = encodeResponse(response);
        if (response.change.case === "deleted") await this.#delete(response.change.value, writes);
      }
      write(changeKey(revision, part), content);
      sizes.push(content.length);
    }
    return sizes;
  }

  async #delete(name: string, writes: Writes): Promise<void> {
    writes.set(`r/${name}`, undefined);
    if (!name.startsWith("deployment/")) return;
    const deployment = name.slice("deployment/".length);
    const begunNow = [...writes.keys()].filter((key) =>
      key.startsWith("b/") ? key.split("/")[2] === deployment : key.startsWith(`a/${deployment}/`),
    );
    for (const key of [...begunNow, ...(await attemptKeys(this.#database, deployment))]) {
      writes.set(key, undefined);
    }
  }

  async #write(writes: Writes, revision: bigint): Promise<void> {
    const batch = this.#database.batch();
    for (const [key, value] of writes) {
      if (value) {
        batch.put(key, value);
        this.#census.put(key, value);
      } else {
        batch.del(key);
        this.#census.delete(key);
      }
    }
    batch.put(...head("revision", revision)).put(...head("census", `${this.#census}`));
    await batch.write({ sync: true });
    this.#revision = revision;
    this.#witness?.note(revision);
  }

  #expire(): void {
    const { events } = this.state;
    const old = events.splice(0, Math.max(0, events.length - limits.events));
    this.#expired = [...this.#log.trim(), ...old.map((event) => eventKey(event.revision))];
  }
}

const asText = (content: Uint8Array): string => Buffer.from(content).toString();
const asResponse = (content: Uint8Array) => fromBinary(WatchResponseSchema, content);
const asSecret = (content: Uint8Array) => fromBinary(SecretRecordSchema, content);
const asRequest = (content: Uint8Array) => fromBinary(RequestRecordSchema, content);

function withRevision(resource: Resource, revision: bigint, nextEvent: () => bigint): Resource {
  const { kind } = resource;
  if (kind.case === "event") {
    const value = { ...kind.value, revision: revision * eventsPerRevision + nextEvent() };
    return create(ResourceSchema, { kind: { case: "event", value } });
  }
  if (kind.value) {
    kind.value.revision = revision;
    if ("etag" in kind.value) kind.value.etag = `${revision}`;
  }
  return resource;
}
