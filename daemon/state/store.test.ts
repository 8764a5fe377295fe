// One contract for every backend: LevelDB on disk, and the in-memory one that tests use.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryLevel } from "memory-level";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDatabase } from "./open.ts";
import type { Database } from "./records.ts";
import { type Backend, storeContract } from "./testing/contract.ts";

let directory: string;
let made = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-store-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const inLevel = async (): Promise<Backend> => {
  const path = join(directory, `${made++}`);
  return { open: () => openDatabase(path) };
};

const inMemory = async (): Promise<Backend> => {
  const database: Database = new MemoryLevel<string, Uint8Array>({ valueEncoding: "view" });
  return { open: () => database.open().then(() => database) };
};

describe("a store in LevelDB", () => storeContract(inLevel));
describe("a store in memory", () => storeContract(inMemory));

it("tells a second daemon on the same state directory that it is in use", async () => {
  const first = await openDatabase(join(directory, "db"));
  await expect(openDatabase(join(directory, "db"))).rejects.toMatchObject({
    problem: "inUse",
    message: expect.stringMatching(/in use by another muster daemon/),
  });
  await first.close();
});
