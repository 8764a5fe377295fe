// What the processes say and exit with when a state directory or a backup cannot be used.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { writeBackup } from "./backup-file.ts";
import { asStoreError, exitCodeHelp, StoreError, stateExitCode } from "./errors.ts";
import { openDatabase } from "./open.ts";
import { seal } from "./records.ts";
import { commit, node, openStore } from "./testing/records.ts";

// Whole processes are started, on machines that may be busy.
vi.setConfig({ testTimeout: 60_000 });

const daemonRoom = join(import.meta.dirname, "..");
let base: string;
let stateDir: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), "muster-exit-"));
  stateDir = join(base, "state");
  await using store = await openStore(stateDir);
  await commit(store, node("n1"));
});
afterEach(() => rm(base, { recursive: true, force: true }));

function run(main: string, ...args: string[]): Promise<{ code: number | null; err: string; out: string }> {
  const ports =
    main === "main.ts"
      ? [
          "--http-port",
          "0",
          "--enroll-port",
          "0",
          "--agent-port",
          "0",
          "--delivery-port",
          "0",
          "--delivery-http-port",
          "0",
        ]
      : [];
  return new Promise((resolve) => {
    const argv = [join(daemonRoom, main), "--state-dir", stateDir, ...ports, ...args];
    const child = execFile(process.execPath, argv, { timeout: 50_000 }, (_, out, err) =>
      resolve({ code: child.exitCode, out, err }),
    );
  });
}

it("a daemon on a state that is in use exits with 10", async () => {
  const args = [join(import.meta.dirname, "testing/committer.ts"), stateDir];
  const other = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(other, "exit");
  await once(other.stdout, "data");
  const { code, err } = await run("main.ts");
  other.kill("SIGKILL");
  await ended;
  expect(err).toMatch(
    /^muster daemon: .* is in use by another muster daemon: stop it, or use another --state-dir\n$/,
  );
  expect(code).toBe(10);
});

it("a daemon on a newer state exits with 11", async () => {
  const database = await openDatabase(join(stateDir, "db"));
  await database.put("m/schema", seal("m/schema", Buffer.from("3")));
  await database.close();
  const { code, err } = await run("main.ts");
  expect(err).toMatch(/^muster daemon: the state is of version 3, this muster knows 2 .*newer one\n$/);
  expect(code).toBe(11);
});

it("a daemon on a damaged state exits with 12", async () => {
  await rm(join(stateDir, "db/CURRENT"));
  const { code, err } = await run("main.ts");
  expect(err).toMatch(
    /^muster daemon: .*CURRENT is missing: restore the last backup with `muster restore FILE --force`\n$/,
  );
  expect(code).toBe(12);
});

it("a daemon on a file exits with 15", async () => {
  stateDir = join(base, "file");
  await writeFile(stateDir, "");
  const { code, err } = await run("main.ts");
  expect(err).toMatch(/^muster daemon: the state directory .* is no directory/);
  expect(code).toBe(15);
});

it("a restore exits with 17 for what is no backup, 18 for what is there, and 2 without a file", async () => {
  const file = join(base, "backup");
  await writeFile(file, "no backup");
  expect(await run("restore.ts", file)).toMatchObject({ code: 17 });
  expect(await run("restore.ts")).toMatchObject({ code: 2 });
  {
    await mkdir(join(stateDir, "pki"));
    await using store = await openStore(stateDir);
    const pieces: Uint8Array[] = [];
    for await (const piece of writeBackup(store, stateDir, 0)) pieces.push(piece);
    await writeFile(file, Buffer.concat(pieces));
  }
  expect(await run("restore.ts", file)).toMatchObject({ code: 18 });
  const { code, out } = await run("restore.ts", file, "--force");
  expect(out).toMatch(/is as it was at revision 1; it goes on from 1000001\nwhat was there before is in /);
  expect(code).toBe(0);
});

it("an engine that cannot write ends the daemon with 16, and any other error has no code of the state", () => {
  const cause = new StoreError("unwritable", "no room");
  expect(stateExitCode(new Error("the state cannot be written", { cause }))).toBe(16);
  expect(stateExitCode(new Error("something else", { cause: new Error("deeper") }))).toBeUndefined();
  const tooMany = Object.assign(new Error("too many open files"), { code: "EMFILE" });
  expect(stateExitCode(asStoreError("db", tooMany))).toBeUndefined();
});

it("are all in the documentation, and those of the daemon in its help", async () => {
  const text = await readFile(join(daemonRoom, "../docs/state.md"), "utf8");
  const { out, code } = await run("main.ts", "--help");
  expect(code).toBe(0);
  const ofRestore = exitCodeHelp(["badBackup", "notEmpty"]);
  const all = exitCodeHelp([
    "inUse",
    "newer",
    "damaged",
    "forbidden",
    "readOnly",
    "notADirectory",
    "unwritable",
  ]);
  for (const line of all.split("\n")) expect(out).toContain(line);
  for (const line of [...all.split("\n"), ...ofRestore.split("\n")]) {
    const [, number, meaning] = /^ {2}(\d+) {2}(.*)$/.exec(line) ?? [];
    expect(text).toContain(`| ${number} | ${meaning} |`);
  }
});
