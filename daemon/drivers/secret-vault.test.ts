import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type SecretRecord, SecretRecordSchema } from "../../proto/gen/muster/v1/record_pb.ts";
import { SecretSchema } from "../../proto/gen/muster/v1/secret_pb.ts";
import { openSecretVault, SecretError, type SecretVault } from "./secret-vault.ts";

let directory: string;
let keyFile: string;
let unreadable: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-vault-"));
  keyFile = join(directory, "secrets.key");
  unreadable = [];
});
afterEach(() => rm(directory, { recursive: true }));

const open = (...stored: SecretRecord[]) =>
  openSecretVault(directory, stored, ({ message }) => unreadable.push(message));

function seal(vault: SecretVault, name: string, content: string): SecretRecord {
  return create(SecretRecordSchema, { secret: { name }, ...vault.seal(name, Buffer.from(content)) });
}

const text = (content: Uint8Array) => Buffer.from(content).toString();

test("what one start has sealed the next one opens, and the bytes between say nothing", async () => {
  const record = seal(await open(), "disk", "open sesame");
  expect(text(record.sealed)).not.toContain("sesame");
  const again = await open(record);
  expect(text(again.open(record))).toBe("open sesame");
  expect(unreadable).toEqual([]);
  expect(seal(again, "disk", "open sesame").sealed).not.toEqual(record.sealed);
});

test("the key is for its owner alone, also after somebody has opened it up", async () => {
  await open();
  expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
  await chmod(keyFile, 0o644);
  await open();
  expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
  expect(await readFile(keyFile)).toHaveLength(32);
});

test("another key opens nothing, and says so of each secret, while new ones can be stored", async () => {
  const record = seal(await open(), "disk", "open sesame");
  await rm(keyFile);
  await open();
  const other = await open(record);
  expect(unreadable).toEqual([
    expect.stringMatching(/secret disk was stored under another key.*muster secret set disk/),
  ]);
  expect(() => other.open(record)).toThrow(SecretError);
  expect(text(other.open(seal(other, "disk", "anew")))).toBe("anew");
});

test("a key that is missing is not made anew while a secret needs it", async () => {
  const record = seal(await open(), "disk", "open sesame");
  const key = await readFile(keyFile);
  await rm(keyFile);
  await expect(open(record)).rejects.toThrow(
    /secrets\.key is missing, which opens the stored secret\. Restore/,
  );
  await expect(stat(keyFile)).rejects.toThrow("ENOENT");
  await writeFile(keyFile, key);
  expect(text((await open(record)).open(record))).toBe("open sesame");
  await writeFile(keyFile, key.subarray(1));
  await expect(open(record)).rejects.toThrow(/secrets\.key is no key of 32 bytes/);
});

test.each<[string, (record: SecretRecord) => SecretRecord]>([
  ["under another name", (record) => ({ ...record, secret: create(SecretSchema, { name: "other" }) })],
  [
    "with a changed byte",
    (record) => ({ ...record, sealed: record.sealed.map((byte, i) => (i ? byte : byte ^ 1)) }),
  ],
  ["with another nonce", (record) => ({ ...record, nonce: record.nonce.map((byte) => byte ^ 1) })],
  ["with a cut tag", (record) => ({ ...record, sealed: record.sealed.slice(0, -8) })],
  ["with nothing in it", (record) => ({ ...record, sealed: new Uint8Array() })],
])("a record %s is not opened", async (_, change) => {
  const vault = await open();
  expect(() => vault.open(change(seal(vault, "disk", "open sesame")))).toThrow(SecretError);
});

test("the digest tells contents apart, and cannot be made without the key", async () => {
  const vault = await open();
  const digest = (of: SecretVault, content: string) =>
    Buffer.from(of.digest(Buffer.from(content))).toString("hex");
  expect(digest(vault, "a")).toBe(digest(await open(), "a"));
  expect(digest(vault, "a")).not.toBe(digest(vault, "b"));
  await rm(keyFile);
  expect(digest(await open(), "a")).not.toBe(digest(vault, "a"));
});
