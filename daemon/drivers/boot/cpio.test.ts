import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { cpioArchive } from "./cpio.ts";

const entries = [
  { path: "etc", mode: 0o755, directory: true },
  { path: "etc/secret", mode: 0o600, content: Buffer.from("hello\n") },
] as const;

test("records are of the newc form, aligned, and end with the trailer", () => {
  const text = Buffer.from(cpioArchive([...entries])).toString("latin1");
  expect(text.length % 512).toBe(0);
  const zero = "00000000";
  const fields = (parts: string[]) => `070701${parts.join("")}`;
  const directory = [
    "00000001",
    "000041ed",
    zero,
    zero,
    "00000002",
    zero,
    zero,
    zero,
    zero,
    zero,
    zero,
    "00000004",
    zero,
  ];
  const file = [
    "00000002",
    "00008180",
    zero,
    zero,
    "00000001",
    zero,
    "00000006",
    zero,
    zero,
    zero,
    zero,
    "0000000b",
    zero,
  ];
  const start = `${fields(directory)}etc\0\0\0${fields(file)}etc/secret\0\0\0\0hello\n\0\0`;
  expect(text.slice(0, start.length)).toBe(start);
  expect(text.slice(start.length)).toMatch(/^070701[0-9a-f]{104}TRAILER!!!\0+$/);
});

test("cpio unpacks it", async () => {
  const directory = await mkdtemp(join(tmpdir(), "muster-cpio-"));
  try {
    await writeFile(join(directory, "a.cpio"), cpioArchive([...entries]));
    await promisify(execFile)("cpio", ["-i", "--quiet", "-F", "a.cpio"], { cwd: directory });
    expect(await readFile(join(directory, "etc/secret"), "utf8")).toBe("hello\n");
    expect((await stat(join(directory, "etc/secret"))).mode & 0o777).toBe(0o600);
  } finally {
    await rm(directory, { recursive: true });
  }
});
