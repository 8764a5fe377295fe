import { expect, test } from "vitest";
import { type CpioEntry, cpioArchive, cpioHeader, padding } from "./cpio.ts";

const entries: CpioEntry[] = [
  { name: "etc", kind: "directory" },
  { name: "etc/name", kind: "file", content: Buffer.from("12345") },
  { name: "init", kind: "file", executable: true, content: Buffer.from("#!/bin/sh\n") },
  { name: "bin", kind: "link", to: "usr/bin" },
];

/** As the kernel reads it. */
function readArchive(archive: Buffer) {
  const files: { name: string; mode: string; content: string }[] = [];
  for (let at = 0; ; ) {
    expect(at % 4).toBe(0);
    expect(archive.toString("latin1", at, at + 6)).toBe("070701");
    const field = (index: number) =>
      Number.parseInt(archive.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const name = archive.toString("utf8", at + 110, at + 110 + nameSize - 1);
    if (name === "TRAILER!!!") return files;
    const start = Math.ceil((at + 110 + nameSize) / 4) * 4;
    files.push({ name, mode: mode.toString(8), content: archive.toString("utf8", start, start + size) });
    at = Math.ceil((start + size) / 4) * 4;
  }
}

test("an archive has its entries in order, each aligned to four", () => {
  expect(readArchive(cpioArchive(entries))).toEqual([
    { name: "etc", mode: "40755", content: "" },
    { name: "etc/name", mode: "100644", content: "12345" },
    { name: "init", mode: "100755", content: "#!/bin/sh\n" },
    { name: "bin", mode: "120777", content: "usr/bin" },
  ]);
});

test("the same entries give the same bytes, in whole blocks of 512", () => {
  expect(cpioArchive(entries).equals(cpioArchive(entries))).toBe(true);
  expect(cpioArchive(entries).length % 512).toBe(0);
});

test("headers of any name length are aligned", () => {
  for (let length = 1; length < 9; length++) {
    expect(cpioHeader({ name: "x".repeat(length), inode: 1, mode: 0o100644, size: 0 }).length % 4).toBe(0);
  }
  expect([0, 1, 3, 4].map((length) => padding(length, 4).length)).toEqual([0, 3, 1, 0]);
});
