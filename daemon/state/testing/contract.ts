// What every backend of the store must do.
import { expect, it } from "vitest";
import { Step_State } from "../../../proto/gen/muster/v1/deployment_pb.ts";
import { attemptCursor } from "../attempts.ts";
import { below, type Database, pages, seal } from "../records.ts";
import { Store } from "../store.ts";
import { attempt, commit, deployment, event, node, request, secret, step, taskRecord } from "./records.ts";

/** Opens the same database again after it was closed. */
export type Backend = { open(): Promise<Database> };

export function storeContract(makeBackend: () => Promise<Backend>): void {
  /** Does something with a new store, and gives the store that is opened after it. */
  const after = async (work: (store: Store) => Promise<void>): Promise<Store> => {
    const { open } = await makeBackend();
    const store = await Store.open(await open());
    await work(store);
    await store[Symbol.asyncDispose]();
    return Store.open(await open());
  };

  it("has after a restart what was committed, with its revisions, etags and events", async () => {
    await using store = await after(async (before) => {
      await commit(before, node("n1"), event("first"));
      await commit(before, node("n1", "changed"), event("second"), event("third"));
      await commit(before, node("n2"), taskRecord("n1", "image"));
      await commit(before, { delete: "node/n2" });
    });
    expect(store.revision).toBe(4n);
    expect([...store.state.nodes.keys()]).toEqual(["n1"]);
    expect(store.state.nodes.get("n1")).toMatchObject({ reason: "changed", revision: 2n, etag: "2" });
    expect(store.state.taskRecords.get("n1")?.get("image")).toMatchObject({ digest: "d", revision: 3n });
    expect(store.state.events.map(({ message }) => message)).toEqual(["first", "second", "third"]);
    const missed = store.changesAfter(2n)?.map(({ revision, change }) => `${revision} ${change.case}`);
    expect(missed).toEqual(["3 put", "3 put", "4 deleted"]);
  });

  it("stores of several changes of a record in one batch the last, and logs each", async () => {
    await using store = await after(async (before) => {
      const first = before.number([node("n1", "a"), node("n1", "b")], 1n);
      const second = before.number([node("n1", "c"), { delete: "node/n1" }, node("n1", "d")], 2n);
      await before.commit([...first, ...second]);
    });
    expect(store.state.nodes.get("n1")).toMatchObject({ reason: "d", revision: 2n });
    expect(store.changesAfter(0n)?.map(({ revision }) => revision)).toEqual([1n, 1n, 2n, 2n, 2n]);
    expect(store.changesAfter(1n)).toHaveLength(3);
  });

  it("takes hundreds of decisions and thousands of changes and events in one commit", async () => {
    await using store = await after(async (before) => {
      const numbered = [];
      for (let i = 1n; i <= 300n; i++) numbered.push(...before.number([node(`n${i}`), event(`e${i}`)], i));
      numbered.push(
        ...before.number(
          Array.from({ length: 1500 }, (_, i) => event(`f${i}`)),
          301n,
        ),
      );
      await before.commit(numbered);
    });
    expect([store.revision, store.state.nodes.size, store.state.events.length]).toEqual([301n, 300, 1800]);
    expect(store.state.events.at(-1)?.message).toBe("f1499");
    expect(new Set(store.state.events.map(({ revision }) => revision)).size).toBe(1800);
  });

  it("keeps request records in the order of their time, and watches never see them", async () => {
    await using store = await after(async (before) => {
      await commit(before, request("z", 1000), node("n1"));
      await commit(before, request("b", 2000));
      await commit(before, request("a", 3000));
      await commit(before, { forgetRequest: "b" });
    });
    expect([...store.state.requests.keys()]).toEqual(["z", "a"]);
    expect(store.revision).toBe(4n);
    expect(store.changesAfter(0n)).toHaveLength(1);
  });

  it("keeps secrets by name, and watches never see them", async () => {
    await using store = await after(async (before) => {
      await commit(before, secret("a", "first"), secret("b", "first"), event("set"));
      await commit(before, secret("a", "second"));
      await commit(before, { forgetSecret: "b" });
    });
    expect([...store.state.secrets].map(([name, { sealed }]) => `${name} ${Buffer.from(sealed)}`)).toEqual([
      "a second",
    ]);
    expect(store.revision).toBe(3n);
    expect(store.changesAfter(0n)).toHaveLength(1);
  });

  it("lists attempts the newest first, by page and by filter, and not into the state", async () => {
    await using store = await after(async (before) => {
      await commit(before, attempt("a-1/n1/image/9", 1n), attempt("a-1/n2/image/1", 1n));
      await commit(before, attempt("b-1/n1/image/1", 2n));
      await commit(before, attempt("a-1/n1/image/10", 3n), attempt("a-1/n1/seed/1", 3n));
      await commit(before, attempt("a-1/n1/image/9", 1n, Step_State.FAILED));
    });
    const all = await store.attempts({}, undefined, 10);
    const newestFirst = [
      "a-1/n1/seed/1",
      "a-1/n1/image/10",
      "b-1/n1/image/1",
      "a-1/n2/image/1",
      "a-1/n1/image/9",
    ];
    expect(all.map(({ name }) => name)).toEqual(newestFirst);
    expect(all.at(-1)).toMatchObject({ state: Step_State.FAILED, revision: 4n });
    const pages: string[][] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await store.attempts({}, cursor, 2);
      const last = page.at(-1);
      if (!last) break;
      pages.push(page.map(({ name }) => name));
      cursor = attemptCursor(last);
    }
    expect(pages).toEqual([newestFirst.slice(0, 2), newestFirst.slice(2, 4), newestFirst.slice(4)]);
    const names = async (...args: Parameters<Store["attempts"]>) =>
      (await store.attempts(...args)).map(({ name }) => name);
    expect(await names({ deployment: "b-1" }, undefined, 5)).toEqual(["b-1/n1/image/1"]);
    expect(await names({ node: "n1", task: "image" }, undefined, 2)).toEqual([
      "a-1/n1/image/10",
      "b-1/n1/image/1",
    ]);
    expect([...store.state.resources()].some(({ kind }) => kind.case === "attempt")).toBe(false);
    expect(store.changesAfter(3n)).toMatchObject([{ change: { value: { kind: { case: "attempt" } } } }]);
  });

  it("forgets with a deployment its attempts, also those of the same batch, and no others", async () => {
    await using store = await after(async (before) => {
      await commit(before, deployment("a-1"), step("a-1/n1/image"), attempt("a-1/n1/image/1", 1n));
      await commit(before, deployment("a-10"), attempt("a-10/n1/image/1", 2n), attempt("a-1/n1/image/2", 2n));
      await commit(
        before,
        attempt("a-1/n1/image/3", 3n),
        { delete: "step/a-1/n1/image" },
        { delete: "deployment/a-1" },
      );
    });
    expect((await store.attempts({}, undefined, 10)).map(({ name }) => name)).toEqual(["a-10/n1/image/1"]);
    expect([...store.state.deployments.keys()]).toEqual(["a-10"]);
    expect(store.state.steps("a-1")).toEqual([]);
  });

  it("remembers 20,000 changes and 2,000 events, also after a restart, and says where they begin", async () => {
    const commits = 25;
    await using store = await after(async (before) => {
      for (let i = 1; i <= commits; i++) {
        const changes = Array.from({ length: 900 }, (_, n) => node(`n${n}`, `${i}`));
        await commit(before, ...changes, ...Array.from({ length: 100 }, () => event(`${i}`)));
      }
      expect(before.oldestRevision).toBe(5n);
      expect(before.changesAfter(4n)).toBeUndefined();
    });
    expect(store.oldestRevision).toBe(5n);
    expect(store.changesAfter(4n)).toBeUndefined();
    expect(store.changesAfter(5n)).toHaveLength(20_000);
    expect(store.changesAfter(24n)).toHaveLength(1000);
    expect(store.changesAfter(25n)).toEqual([]);
    expect([store.state.events.length, store.state.events[0]?.message]).toEqual([2000, "6"]);
  });

  it("has no changes after a revision that has not been", async () => {
    const { open } = await makeBackend();
    await using store = await Store.open(await open());
    await commit(store, node("n1"));
    expect(store.changesAfter(store.oldestRevision)).toHaveLength(1);
    expect(store.changesAfter(store.oldestRevision - 1n)).toBeUndefined();
    expect(store.changesAfter(2n)).toBeUndefined();
  });

  it("goes on after a restore far above, with nothing to resume from", async () => {
    await using store = await after(async (before) => {
      await commit(before, node("n1"));
      await before.beginEpoch(1_000_001n);
    });
    expect([store.revision, store.oldestRevision]).toEqual([1_000_001n, 1_000_001n]);
    expect(store.changesAfter(1n)).toBeUndefined();
    await commit(store, node("n2"));
    expect(store.changesAfter(1_000_001n)).toHaveLength(1);
  });

  it("copies the records of one moment while it goes on", async () => {
    const { open } = await makeBackend();
    await using store = await Store.open(await open());
    await commit(store, node("n1"));
    await using copy = await store.copy();
    await commit(store, node("n2"));
    const keys: string[] = [];
    for await (const page of copy.records()) keys.push(...page.map(([key]) => key));
    expect(copy.revision).toBe(1n);
    expect(keys.filter((key) => key.startsWith("r/"))).toEqual(["r/node/n1"]);
  });

  it("writes nothing more once a write has failed", async () => {
    const { open } = await makeBackend();
    const database = await open();
    await using store = await Store.open(database);
    await commit(store, node("n1"));
    await database.close();
    await expect(commit(store, node("n2"))).rejects.toThrow(/cannot be written/);
    await database.open();
    await expect(commit(store, node("n3"))).rejects.toThrow(/cannot be written/);
  });

  const damages: [string, (database: Database) => Promise<void>, RegExp][] = [
    [
      "the state of a newer muster",
      (db) => db.put("m/schema", seal("m/schema", Buffer.from("99"))),
      /version 99, this muster knows 2/,
    ],
    ["a schema that is no number", (db) => db.put("m/schema", Buffer.from("x")), /m\/schema is damaged/],
    ["a lost schema", (db) => db.del("m/schema"), /no m\/schema/],
    ["a lost revision", (db) => db.del("m/revision"), /m\/revision is missing/],
    [
      "a record without a checksum",
      (db) => db.put("r/node/n1", Buffer.from([1, 2])),
      /r\/node\/n1 is damaged/,
    ],
    [
      "a flipped bit",
      flipped("r/node/n1"),
      /record r\/node\/n1 is damaged \(its checksum is wrong\): restore/,
    ],
    ["a flipped bit in the log", flipped("c/"), /record c\/0+1\/0+ is damaged/],
    [
      "a record under another name",
      async (db) => db.put("r/node/n3", await value(db, "r/node/n1")),
      /r\/node\/n3 is damaged/,
    ],
    [
      "what cannot be decoded",
      (db) => db.put("r/node/n1", seal("r/node/n1", Buffer.from([0xff]))),
      /cannot be decoded/,
    ],
    ["a lost record", (db) => db.del("r/node/n2"), /has lost records or changes/],
    ["a lost change", async (db) => db.del(await firstKey(db, "c/")), /has lost records or changes/],
    [
      "a record as it once was",
      (db) => db.put("r/node/n1", seal("r/node/n1", Buffer.from([]))),
      /has lost records or changes/,
    ],
  ];
  it.each(damages)("refuses %s, and says so", async (_, damage, message) => {
    const { open } = await makeBackend();
    const store = await Store.open(await open());
    await commit(store, node("n1"), node("n2"));
    await store[Symbol.asyncDispose]();
    const database = await open();
    await damage(database);
    await database.close();
    await expect(open().then((damaged) => Store.open(damaged))).rejects.toThrow(message);
  });
}

async function value(database: Database, key: string): Promise<Uint8Array> {
  return (await database.get(key)) ?? new Uint8Array();
}

async function firstKey(database: Database, prefix: string): Promise<string> {
  for await (const [key] of pages(database.keys(below(prefix)))) if (key) return key;
  return prefix;
}

/** The last bit of the first record of that name or prefix. */
function flipped(prefix: string): (database: Database) => Promise<void> {
  return async (database) => {
    const key = prefix.endsWith("/") ? await firstKey(database, prefix) : prefix;
    const bytes = Buffer.from(await value(database, key));
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    await database.put(key, bytes);
  };
}
