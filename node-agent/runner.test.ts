import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { CommandError, createRunner } from "./runner.ts";

function logged() {
  const lines: string[] = [];
  return { lines, run: createRunner((line) => lines.push(line)) };
}

async function failure(running: Promise<unknown>): Promise<CommandError> {
  const error = await running.catch((caught: unknown) => caught);
  if (!(error instanceof CommandError)) throw new Error("the command should have failed");
  return error;
}

/** A killed orphan may stay in the process table until it is reaped. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

it("logs the command as a shell would take it, and its output line by line", async () => {
  const { lines, run } = logged();
  const result = await run(["sh", "-c", "echo one; printf 'two\\nthree'; cat >&2"], { input: "it's in\n" });
  expect(lines[0]).toBe("$ sh -c 'echo one; printf '\\''two\\nthree'\\''; cat >&2'");
  expect(lines.slice(1).sort()).toEqual(["it's in", "one", "three", "two"]);
  expect(result).toEqual({ code: 0, stdout: "one\ntwo\nthree", stderr: "it's in\n" });
});

it("names the program, its code and its last words", async () => {
  const { run } = logged();
  const error = await failure(run(["sh", "-c", "echo a >&2; echo no such thing >&2; exit 3"]));
  expect(error.code).toBe(3);
  expect(error.message).toMatch(/^`sh -c '.*'` failed with exit code 3: a \| no such thing$/);
  expect(await run(["sh", "-c", "exit 3"], { okCodes: [0, 3] })).toMatchObject({ code: 3 });
});

it("says when a program cannot be started", async () => {
  const { run } = logged();
  const error = await failure(run(["no-such-program"]));
  expect(error.message).toContain("no-such-program could not be started: spawn no-such-program ENOENT");
});

it("gives programs the chance to end by themselves, and then ends what is left of their group", {
  timeout: 30_000,
}, async () => {
  const { lines, run } = logged();
  const script = `sh -c 'trap "echo tidied; exit" TERM; while :; do sleep 0.1; done' & echo $!; wait`;
  const controller = new AbortController();
  const running = failure(run(["sh", "-c", script], { signal: controller.signal }));
  while (lines.length < 2) await delay(20);
  await delay(100);
  controller.abort();
  expect((await running).message).toContain("was cancelled");
  expect(lines.at(-1)).toBe("tidied");
  expect(isAlive(Number(lines[1]))).toBe(false);
});

it("ends a program that does not listen after five seconds", { timeout: 30_000 }, async () => {
  const { lines, run } = logged();
  const stubborn = "trap '' TERM; sh -c \"trap '' TERM; while :; do sleep 0.1; done\" & echo $!; wait";
  const started = performance.now();
  await failure(run(["sh", "-c", stubborn], { timeoutMs: 200 }));
  const tookMs = performance.now() - started;
  expect(tookMs).toBeGreaterThan(5_000);
  expect(tookMs).toBeLessThan(9_000);
  await delay(50);
  expect(isAlive(Number(lines[1]))).toBe(false);
});

it("lets a program wait while its output has no room, and loses nothing at its end", async () => {
  const written: string[] = [];
  let makeRoom = () => {};
  const run = createRunner(() => {}, {
    write(text) {
      written.push(text);
      return new Promise((resolve) => {
        makeRoom = resolve;
      });
    },
    clean: (line) => line,
    overlap: 0,
  });
  const running = run(["seq", "1", "200000"]);
  await delay(300);
  expect(written).toHaveLength(1);
  let isDone = false;
  void running.then(() => {
    isDone = true;
  });
  // Longer than outputs are read after the program's end.
  await delay(2_500);
  while (!isDone) {
    makeRoom();
    await delay(1);
  }
  expect(written.join("")).toBe(Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join(""));
});

it("kills the whole group at the timeout", async () => {
  const { lines, run } = logged();
  const error = await failure(run(["sh", "-c", "sleep 60 & echo $!; wait"], { timeoutMs: 300 }));
  expect(error.message).toContain("took longer than 0.3 s");
  await delay(50);
  expect(isAlive(Number(lines[1]))).toBe(false);
});

it("ends when cancelled, before and while it runs", async () => {
  const { run } = logged();
  const controller = new AbortController();
  const running = failure(run(["sleep", "60"], { signal: controller.signal, timeoutMs: Infinity }));
  controller.abort();
  expect((await running).message).toBe("`sleep 60` was cancelled");
  expect((await failure(run(["sleep", "60"], { signal: controller.signal }))).message).toContain(
    "was cancelled",
  );
});

it("does not wait for a daemon that keeps the program's outputs", async () => {
  const { lines, run } = logged();
  const started = performance.now();
  await run(["sh", "-c", "setsid sleep 30 & echo $!; printf last"]);
  expect(performance.now() - started).toBeLessThan(10_000);
  expect(lines.at(-1)).toBe("last");
  process.kill(Number(lines[1]), "SIGKILL");
});

it("logs an endless line in pieces", async () => {
  const { lines, run } = logged();
  await run(["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"]);
  expect(lines.length).toBeGreaterThan(2);
  expect(lines.slice(1).join("")).toBe("x".repeat(300_000));
});

it("cuts no endless line in the middle of what must not be shown", async () => {
  let text = "";
  const clean = (line: string) => line.replaceAll("secret", "[...]");
  const run = createRunner(() => {}, {
    write(piece) {
      text += clean(piece);
      return undefined;
    },
    clean,
    overlap: 5,
  });
  await run(["sh", "-c", "head -c 300000 /dev/zero | sed 's/\\x0/secret/g'"]);
  expect(text).not.toMatch(/[a-z]/);
  expect(text.length).toBeGreaterThan(5 * 300_000);
});
