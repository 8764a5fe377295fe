// From a running store into a file and back into a state directory; and every way in which a file can be bad.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { sizeDelimitedDecodeStream, sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BackupPartSchema } from "../../proto/gen/muster/v1/record_pb.ts";
import { backup } from "../api/backup.ts";
import { openStateDirectory } from "./open.ts";
import { type Restored, restoreBackup } from "./restore.ts";
import type { Store } from "./store.ts";
import { attempt, commit, deployment, event, node, openStore, request, step } from "./testing/records.ts";

const nowMs = Date.UTC(2030, 0, 1);
let base: string;
let from: string;
let to: string;
let file: string;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), "muster-backup-"));
  from = join(base, "from");
  to = join(base, "to");
  file = join(base, "file");
  await mkdir(join(from, "pki"), { recursive: true });
  await writeFile(join(from, "pki/ca.key"), "secret", { mode: 0o600 });
  await writeFile(join(from, "pki/ca.pem"), "public", { mode: 0o644 });
});
afterEach(() => rm(base, { recursive: true, force: true }));

async function collect(store: Store): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const { content } of backup(store, from, () => nowMs)) pieces.push(content);
  return Buffer.concat(pieces);
}

/** A store with one of each, and its backup in `file`. */
async function backedUp(): Promise<void> {
  await using store = await openStore(from);
  await commit(store, node("n1"), event("first"), request("r1", 1));
  await commit(store, deployment("a-1"), step("a-1/n1/image"), attempt("a-1/n1/image/1", 2n));
  await writeFile(file, await collect(store));
}

const restore = (force = false): Promise<Restored> => restoreBackup(file, to, { force, nowMs });

describe("a backup", () => {
  it("comes back whole, with keys and their modes, and goes on far above", async () => {
    await backedUp();
    expect(await restore()).toEqual({ backedUpRevision: 2n, revision: 1_000_002n, aside: undefined });
    expect((await readdir(to)).sort()).toEqual(["db", "db.revision", "pki"]);
    expect(await readFile(join(to, "pki/ca.key"), "utf8")).toBe("secret");
    expect((await stat(join(to, "pki/ca.key"))).mode & 0o777).toBe(0o600);
    expect((await stat(join(to, "pki"))).mode & 0o777).toBe(0o700);
    await openStateDirectory(to);
    await using store = await openStore(to);
    expect([store.revision, store.oldestRevision]).toEqual([1_000_002n, 1_000_002n]);
    expect([...store.state.nodes.keys()]).toEqual(["n1"]);
    expect([...store.state.requests.keys()]).toEqual(["r1"]);
    expect(store.state.steps("a-1")).toHaveLength(1);
    expect(store.state.events).toHaveLength(1);
    expect(await store.attempts({}, undefined, 9)).toMatchObject([{ name: "a-1/n1/image/1" }]);
    expect(store.changesAfter(2n)).toBeUndefined();
  });

  it("is of one moment while writes go on", async () => {
    await using store = await openStore(from);
    const commitOne = (i: bigint) => commit(store, node("a", `${i}`), node("b", `${i}`), node(`n${i}`));
    for (let i = 1n; i <= 1500n; i++) await commitOne(i);
    const pieces: Uint8Array[] = [];
    for await (const { content } of backup(store, from, () => nowMs)) {
      pieces.push(content);
      await commitOne(store.revision + 1n);
    }
    expect(pieces.length).toBeGreaterThan(1);
    await writeFile(file, Buffer.concat(pieces));
    const { backedUpRevision } = await restore();
    expect(backedUpRevision).toBe(1500n);
    await using restored = await openStore(to);
    const { nodes } = restored.state;
    expect([nodes.size, nodes.get("a")?.reason, nodes.get("b")?.reason]).toEqual([1502, "1500", "1500"]);
  });

  it("is refused when it is cut off anywhere, and nothing is written", async () => {
    await backedUp();
    const whole = await readFile(file);
    for (let length = 0; length < whole.length; length += 1 + Math.floor(length / 20)) {
      await writeFile(file, whole.subarray(0, length));
      await expect(restore(), `${length} bytes`).rejects.toMatchObject({ problem: "badBackup" });
    }
    await expect(stat(to)).rejects.toThrow(/ENOENT/);
  });

  it("is refused after any flipped bit, and nothing is written", async () => {
    await backedUp();
    const whole = await readFile(file);
    for (let at = 0; at < whole.length; at += 1 + Math.floor(whole.length / 300)) {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (at % 8)), at);
      await writeFile(file, bytes);
      await expect(restore(), `byte ${at}`).rejects.toMatchObject({ name: "StoreError" });
    }
    await writeFile(file, Buffer.concat([whole, whole]));
    await expect(restore()).rejects.toThrow(/something behind its end/);
    await expect(stat(to)).rejects.toThrow(/ENOENT/);
  });

  it("of a newer muster is refused with both versions; and what is no backup or not there, as that", async () => {
    const header = { magic: "muster backup", schemaVersion: 9 };
    const part = create(BackupPartSchema, { part: { case: "header", value: header } });
    await writeFile(file, sizeDelimitedEncode(BackupPartSchema, part));
    await expect(restore()).rejects.toMatchObject({
      problem: "newer",
      message: expect.stringMatching(/version 9, this muster knows 2/),
    });
    await writeFile(file, "#!/bin/sh\nexit 0\n");
    await expect(restore()).rejects.toMatchObject({ problem: "badBackup" });
    await rm(file);
    await expect(restore()).rejects.toThrow(/cannot be read: ENOENT/);
  });

  it("says itself of what it is", async () => {
    await backedUp();
    const parts: string[] = [];
    const bytes = await readFile(file);
    for await (const { part } of sizeDelimitedDecodeStream(BackupPartSchema, [bytes] as never)) {
      if (part.case === "header") expect(part.value).toMatchObject({ revision: 2n, schemaVersion: 2 });
      if (part.case === "file") parts.push(part.value.path);
      if (part.case === "trailer") parts.push(`${part.value.parts > 10n}`);
    }
    expect(parts).toEqual(["pki/ca.key", "pki/ca.pem", "true"]);
  });
});

describe("a restore", () => {
  it("refuses a directory that is not empty; with force it moves the state aside and leaves the rest", async () => {
    await backedUp();
    await restore();
    await mkdir(join(to, "images"));
    await expect(restore()).rejects.toMatchObject({ problem: "notEmpty" });
    {
      await using store = await openStore(to);
      await commit(store, node("later"));
    }
    const { revision, aside = "" } = await restore(true);
    expect(revision).toBe(2_000_003n);
    expect(aside).toBe(join(to, "before-restore-2030-01-01T00-00-00-000Z"));
    expect((await readdir(to)).sort()).toEqual([
      "before-restore-2030-01-01T00-00-00-000Z",
      "db",
      "db.revision",
      "images",
      "pki",
    ]);
    await using before = await openStore(aside);
    expect([...before.state.nodes.keys()]).toEqual(["later", "n1"]);
    await using store = await openStore(to);
    expect([...store.state.nodes.keys()]).toEqual(["n1"]);
  });

  it("does nothing while another process has the state", async () => {
    await backedUp();
    await restore();
    const committer = join(import.meta.dirname, "testing/committer.ts");
    const daemon = spawn(process.execPath, [committer, to], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(daemon, "exit");
    try {
      await once(daemon.stdout, "data");
      await expect(restore(true)).rejects.toMatchObject({ problem: "inUse" });
      expect((await readdir(to)).sort()).toEqual(["db", "db.revision", "pki"]);
      await once(daemon.stdout, "data");
    } finally {
      daemon.kill("SIGKILL");
      await ended;
    }
    await using store = await openStore(to);
    expect(store.revision).toBeGreaterThan(1_000_002n);
  });

  it("replaces a damaged state without opening it", async () => {
    await backedUp();
    await restore();
    await rm(join(to, "db/CURRENT"));
    await expect(openStore(to)).rejects.toThrow(/CURRENT is missing/);
    const { aside = "" } = await restore(true);
    expect(await readdir(join(aside, "db"))).not.toContain("CURRENT");
    await using store = await openStore(to);
    expect(store.state.nodes.size).toBe(1);
  });

  it("that was interrupted keeps the daemon from starting, and can be done again", async () => {
    await backedUp();
    await mkdir(join(to, "restoring/db"), { recursive: true });
    await expect(openStateDirectory(to)).rejects.toThrow(/restore is under way, or was interrupted/);
    await restore(true);
    await openStateDirectory(to);
    await using store = await openStore(to);
    expect(store.revision).toBe(1_000_002n);
  });

  it("never writes outside of the state", async () => {
    await backedUp();
    for (const path of ["../escape", "pki/../../escape", "/etc/escape", "db/CURRENT", "pki/.."]) {
      const value = { magic: "muster backup", schemaVersion: 2, revision: 2n };
      const parts = [
        create(BackupPartSchema, { part: { case: "header", value } }),
        create(BackupPartSchema, { part: { case: "file", value: { path, mode: 0o600 } } }),
      ].map((one) => sizeDelimitedEncode(BackupPartSchema, one));
      const digest = createHash("sha256").update(Buffer.concat(parts)).digest();
      const trailer = { parts: 2n, digest: new Uint8Array(digest) };
      const end = create(BackupPartSchema, { part: { case: "trailer", value: trailer } });
      await writeFile(file, Buffer.concat([...parts, sizeDelimitedEncode(BackupPartSchema, end)]));
      await expect(restore(), path).rejects.toThrow(/which is not part of a state/);
      expect(await readdir(to)).toEqual([]);
    }
  });
});
