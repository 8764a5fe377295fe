// Real damage to the real files of a database: it is refused with what is wrong, or it changes nothing.
import { cp, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ResourceSchema, WatchResponseSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { StoreError } from "./errors.ts";
import { attempt, commit, event, node, openStore, request } from "./testing/records.ts";

let base: string;
let made = 0;

/** A state directory with tables, a write-ahead log and a manifest that all matter. */
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "muster-damage-"));
  // What one daemon leaves in the log is in a table when the next one has started.
  for (const round of [1, 2, 3]) {
    await using store = await openStore(join(base, "whole"));
    for (let i = 0; i < 40; i++) {
      await commit(store, node(`n${i}`, `round ${round}`), event("something happened"), request(`r${i}`, i));
      await commit(store, attempt(`a-${round}/n${i}/image/1`, store.revision));
    }
  }
});
afterAll(() => rm(base, { recursive: true, force: true }));

async function damagedCopy(damage: (stateDir: string) => Promise<unknown>): Promise<string> {
  const stateDir = join(base, `copy-${made++}`);
  await cp(join(base, "whole"), stateDir, { recursive: true });
  await damage(stateDir);
  return stateDir;
}

async function only(stateDir: string, pattern: RegExp): Promise<string> {
  const names = (await readdir(join(stateDir, "db"))).filter((name) => pattern.test(name)).sort();
  return join(stateDir, "db", names.at(-1) ?? "none");
}

async function flip(file: string, at: number, bit = 3): Promise<void> {
  const bytes = await readFile(file);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
  await writeFile(file, bytes);
}

async function size(file: string): Promise<number> {
  return (await readFile(file)).length;
}

async function content(stateDir: string): Promise<string> {
  await using store = await openStore(stateDir);
  const resources = [...store.state.resources()].map((one) => toBinary(ResourceSchema, one));
  const changes = (store.changesAfter(store.oldestRevision) ?? []).map((one) =>
    toBinary(WatchResponseSchema, one),
  );
  const requests = [...store.state.requests.keys()].join();
  return Buffer.concat([...resources, ...changes, Buffer.from(`${store.revision} ${requests}`)]).toString(
    "base64",
  );
}

const cutLog = async (stateDir: string) => {
  const log = await only(stateDir, /\.log$/);
  await truncate(log, (await size(log)) - 100);
};

const damages: [string, (stateDir: string) => Promise<unknown>, RegExp][] = [
  [
    "a flipped bit in the write-ahead log",
    async (dir) => flip(await only(dir, /\.log$/), 500),
    /\.log is damaged at byte \d+: restore/,
  ],
  [
    "a flipped bit in the log's last record",
    async (dir) => {
      const log = await only(dir, /\.log$/);
      await flip(log, (await size(log)) - 3);
    },
    /\.log is damaged/,
  ],
  [
    "a wrong length in the middle of the log",
    async (dir) => flip(await only(dir, /\.log$/), 5, 6),
    /\.log is damaged at byte 0/,
  ],
  [
    "zeros in the middle of the log",
    async (dir) => {
      const log = await only(dir, /\.log$/);
      await writeFile(log, (await readFile(log)).fill(0, 400, 1500));
    },
    /\.log is damaged/,
  ],
  ["a log that was cut short", cutLog, /ends at revision 239, but revision 240 was stored/],
  [
    "a log that is gone",
    async (dir) => rm(await only(dir, /\.log$/)),
    /ends at revision 160, but revision 240/,
  ],
  [
    "a database that is gone",
    (dir) => rm(join(dir, "db"), { recursive: true }),
    /ends at revision 0, but revision 240/,
  ],
  [
    "a table that is gone",
    async (dir) => rm(await only(dir, /\.ldb$/)),
    /missing files.*restore the last backup/,
  ],
  [
    "a table under another name",
    async (dir) => {
      const table = await only(dir, /\.ldb$/);
      await rename(table, `${table}.old`);
    },
    /missing files/,
  ],
  [
    "a table that was cut short",
    async (dir) => truncate(await only(dir, /\.ldb$/), 300),
    /damaged or incomplete/,
  ],
  ["a manifest that is gone", async (dir) => rm(await only(dir, /^MANIFEST/)), /MANIFEST-\d+: No such file/],
  [
    "a flipped bit in the manifest",
    async (dir) => flip(await only(dir, /^MANIFEST/), 60),
    /MANIFEST-\d+ is damaged/,
  ],
  ["CURRENT gone", (dir) => rm(join(dir, "db/CURRENT")), /CURRENT is missing/],
  ["an empty CURRENT", (dir) => writeFile(join(dir, "db/CURRENT"), ""), /CURRENT/],
];

describe("a store whose files are damaged", () => {
  it.each(damages)("refuses %s, now and at the next start", async (_, damage, message) => {
    const stateDir = await damagedCopy(damage);
    for (const _start of [1, 2]) {
      const error = await openStore(stateDir).then(
        (store) => store[Symbol.asyncDispose](),
        (e: unknown) => e,
      );
      expect(error).toMatchObject({ problem: "damaged", message: expect.stringMatching(message) });
    }
  });

  it("leaves the files as they are when it refuses its log, its manifest or CURRENT", async () => {
    const files = async (dir: string) =>
      Promise.all(
        (await readdir(join(dir, "db"))).map(
          async (name) => `${name} ${await readFile(join(dir, "db", name), "base64")}`,
        ),
      );
    for (const damage of [
      async (dir: string) => flip(await only(dir, /\.log$/), 500),
      async (dir: string) => flip(await only(dir, /^MANIFEST/), 60),
      (dir: string) => rm(join(dir, "db/CURRENT")),
    ]) {
      const stateDir = await damagedCopy(damage);
      const before = await files(stateDir);
      await expect(openStore(stateDir)).rejects.toThrow(StoreError);
      expect(await files(stateDir)).toEqual(before);
    }
  });

  it("goes on with what is there once the operator has removed the witness", async () => {
    const stateDir = await damagedCopy(cutLog);
    await expect(openStore(stateDir)).rejects.toThrow(/remove .*db\.revision/);
    await rm(join(stateDir, "db.revision"));
    await using store = await openStore(stateDir);
    expect(store.revision).toBe(239n);
  });

  it("takes a witness that a power loss has emptied, and a log that ends in zeros, for what they are", async () => {
    const stateDir = await damagedCopy(async (dir) => {
      await writeFile(join(dir, "db.revision"), "");
      const log = await only(dir, /\.log$/);
      await writeFile(log, Buffer.concat([await readFile(log), Buffer.alloc(5000)]));
    });
    expect(await content(stateDir)).toBe(await content(await damagedCopy(async () => {})));
  });

  it("is refused or is the same after any flipped bit", { timeout: 60_000 }, async () => {
    const whole = await content(await damagedCopy(async () => {}));
    let refused = 0;
    const kept = (await readdir(join(base, "whole/db"))).filter((name) => !/^LOG|^LOCK/.test(name));
    for (const name of kept) {
      const bytes = await size(join(base, "whole/db", name));
      for (let i = 0; i < Math.min(60, bytes); i++) {
        const at = Math.floor((i * bytes) / Math.min(60, bytes));
        const stateDir = await damagedCopy((dir) => flip(join(dir, "db", name), at, i % 8));
        try {
          expect(await content(stateDir), `${name}, byte ${at}`).toBe(whole);
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
          refused++;
        }
        await rm(stateDir, { recursive: true });
      }
    }
    expect(refused).toBeGreaterThan(100);
  });
});
