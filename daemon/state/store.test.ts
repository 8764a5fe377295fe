// One contract for every backend: LevelDB on disk, and the in-memory one that tests use.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { MemoryLevel } from "memory-level";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { Event_Severity, EventSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { type Change, put } from "../domain/state.ts";
import { openDatabase } from "./open.ts";
import { type Database, Store, StoreError } from "./store.ts";

const node = (name: string, reason = "") =>
  put({ case: "node", value: create(NodeSchema, { name, reason }) });
const event = (message: string) =>
  put({ case: "event", value: create(EventSchema, { severity: Event_Severity.INFO, message }) });

/** What the engine does with the changes of one decision. */
async function commit(store: Store, ...changes: Change[]): Promise<void> {
  for (const change of changes)
    if ("delete" in change || change.put.kind.case !== "event") store.state.apply(change);
  await store.commit(store.number(changes, store.revision + 1n));
}

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-store-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const backends: [string, () => Promise<{ open(): Promise<Database>; reopens: boolean }>][] = [
  ["LevelDB", async () => ({ open: () => openDatabase(join(directory, "db")), reopens: true })],
  [
    "memory",
    async () => {
      const database: Database = new MemoryLevel<string, Uint8Array>({ valueEncoding: "view" });
      return { open: async () => database, reopens: false };
    },
  ],
];

describe.each(backends)("a store in %s", (_, backend) => {
  it("has after a restart what was committed, with its revisions and events", async () => {
    const { open, reopens } = await backend();
    const store = await Store.open(await open());
    await commit(store, node("n1"), event("first"));
    await commit(store, node("n1", "changed"), event("second"), event("third"));
    await commit(store, node("n2"));
    await commit(store, { delete: "node/n2" });
    if (reopens) await store[Symbol.asyncDispose]();

    await using again = await Store.open(await open());
    expect(again.revision).toBe(4n);
    expect([...again.state.nodes.keys()]).toEqual(["n1"]);
    expect(again.state.nodes.get("n1")).toMatchObject({ reason: "changed", revision: 2n });
    expect(again.state.events.map(({ message }) => message)).toEqual(["first", "second", "third"]);
    const missed = again.changesAfter(2n)?.map(({ revision, change }) => `${revision} ${change.case}`);
    expect(missed).toEqual(["3 put", "4 deleted"]);
  });

  it("says that it no longer has changes which were never logged", async () => {
    const { open } = await backend();
    await using store = await Store.open(await open());
    await commit(store, node("n1"));
    expect(store.changesAfter(store.oldestRevision)).toHaveLength(1);
    expect(store.changesAfter(store.oldestRevision - 1n)).toBeUndefined();
  });

  it("refuses the state of a newer muster and names both versions", async () => {
    const { open } = await backend();
    const database = await open();
    await database.put("m/schema", Buffer.from("99"));
    await expect(Store.open(database)).rejects.toThrow(/version 99, this muster knows 1/);
    await database.close();
  });

  it("says which record is damaged", async () => {
    const { open } = await backend();
    const database = await open();
    await database.put("r/node/n1", Buffer.from([0xff, 0xff, 0xff]));
    await expect(Store.open(database)).rejects.toThrow(/record r\/node\/n1 is damaged/);
    await database.close();
  });
});

it("tells a second daemon on the same state directory that it is in use", async () => {
  const first = await openDatabase(join(directory, "db"));
  await expect(openDatabase(join(directory, "db"))).rejects.toThrow(StoreError);
  await expect(openDatabase(join(directory, "db"))).rejects.toThrow(/in use by another muster daemon/);
  await first.close();
});
