// From the database that an older muster has left to this one's.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, it } from "vitest";
import { EventSchema, ResourceSchema, WatchResponseSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { openDatabase } from "./open.ts";
import type { Database } from "./records.ts";
import { Store } from "./store.ts";
import { commit, node, openStore } from "./testing/records.ts";

let stateDir: string;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "muster-migration-"));
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

const text = (value: string) => Buffer.from(value);

/** As version 1 wrote it: no checksums, no epoch, no census. */
async function writeVersion1(records: [string, Uint8Array][] = []): Promise<void> {
  const database = await openDatabase(join(stateDir, "db"));
  const batch = database.batch().put("m/schema", text("1")).put("m/revision", text("7"));
  for (let i = 0; i < 3; i++) {
    const change = node(`n${i}`, "old");
    if (!("put" in change)) continue;
    batch.put(`r/node/n${i}`, toBinary(ResourceSchema, change.put));
    const response = create(WatchResponseSchema, {
      revision: 7n,
      change: { case: "put", value: change.put },
    });
    batch.put(`c/0000000000000007/00000${i}`, toBinary(WatchResponseSchema, response));
  }
  const event = create(EventSchema, { message: "old event", revision: 7000n });
  batch.put(
    "r/event/0000000000000007000",
    toBinary(ResourceSchema, create(ResourceSchema, { kind: { case: "event", value: event } })),
  );
  for (const [key, value] of records) batch.put(key, value);
  await batch.write({ sync: true });
  await database.close();
}

async function version(): Promise<string> {
  const database = await openDatabase(join(stateDir, "db"));
  const schema = Buffer.from((await database.get("m/schema")) ?? []);
  await database.close();
  return schema.subarray(schema.length > 1 ? 4 : 0).toString();
}

it("brings version 1 forward with everything in it", async () => {
  await writeVersion1();
  for (const _start of [1, 2]) {
    await using store = await openStore(stateDir);
    expect(store.revision).toBe(7n);
    expect([...store.state.nodes.values()].map(({ reason }) => reason)).toEqual(["old", "old", "old"]);
    expect(store.state.events.map(({ message }) => message)).toEqual(["old event"]);
    expect(store.changesAfter(6n)).toHaveLength(3);
  }
  expect(await version()).toBe("2");
  await using store = await openStore(stateDir);
  await commit(store, node("n9"));
  expect(store.revision).toBe(8n);
});

it("leaves version 1 as it was when it cannot be brought forward", async () => {
  await writeVersion1([["r/node/bad", Buffer.from([0xff, 0xff, 0xff])]]);
  for (const _start of [1, 2]) {
    await expect(openStore(stateDir)).rejects.toThrow(/record r\/node\/bad is damaged/);
  }
  expect(await version()).toBe("1");
});

it("is begun anew after it was interrupted before its batch was written", async () => {
  await writeVersion1();
  const database = await openDatabase(join(stateDir, "db"));
  await expect(Store.open(withoutWrites(database))).rejects.toThrow(/power loss/);
  await database.close();
  expect(await version()).toBe("1");
  await using store = await openStore(stateDir);
  expect(store.state.nodes.size).toBe(3);
});

function withoutWrites(database: Database): Database {
  return new Proxy(database, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name !== "batch") return value.bind(target);
      return () => Object.assign(target.batch(), { write: () => Promise.reject(new Error("power loss")) });
    },
  });
}
