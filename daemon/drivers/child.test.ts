import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { superviseChild } from "./child.ts";

const log = pino({ level: "silent" });
const shell = (script: string, onLine: (line: string) => void = () => {}) =>
  superviseChild({
    command: "/bin/sh",
    args: ["-c", script],
    log,
    onLine,
    isReady: (line) => line.startsWith("up"),
    readyTimeoutMs: 1000,
    restartDelayMs: 20,
  });

test("a child that dies is started again, and stays ended when it is stopped", async () => {
  const pids: number[] = [];
  const child = await shell("echo up $$; exec sleep 60", (line) => pids.push(Number(line.split(" ")[1])));
  process.kill(pids[0] ?? 0, "SIGKILL");
  await vi.waitFor(() => expect(pids).toHaveLength(2));
  await child[Symbol.asyncDispose]();
  expect(() => process.kill(pids[1] ?? 0, 0)).toThrow("ESRCH");
});

test("it can be stopped in the middle of a restart", async () => {
  const directory = await mkdtemp(join(tmpdir(), "muster-child-"));
  const pids: number[] = [];
  const slowSecondStart = `echo pid $$; [ -e ${directory}/again ] && sleep 0.3; touch ${directory}/again; echo up; exec sleep 60`;
  const child = await shell(
    slowSecondStart,
    (line) => line.startsWith("pid") && pids.push(Number(line.slice(4))),
  );
  process.kill(pids[0] ?? 0, "SIGKILL");
  await vi.waitFor(() => expect(pids).toHaveLength(2));
  await child[Symbol.asyncDispose]();
  expect(() => process.kill(pids[1] ?? 0, 0)).toThrow("ESRCH");
  await rm(directory, { recursive: true });
});

test("a child that does not come up says what it said", async () => {
  await expect(shell("echo the port is taken >&2; exit 2")).rejects.toThrow(
    "/bin/sh does not start: the port is taken",
  );
  await expect(shell("exit 3")).rejects.toThrow("exit code 3");
  await expect(shell("exec sleep 60")).rejects.toThrow("not ready within 1 s");
});

test("a program that is not there is said", async () => {
  const start = superviseChild({ command: "/none", args: [], log, onLine: () => {}, isReady: () => true });
  await expect(start).rejects.toThrow(/\/none does not start: .*ENOENT/);
});
