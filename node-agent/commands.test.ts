// Real programs, run as an operator's command.
import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, describe, expect, it, vi } from "vitest";
import { RunCommandSchema, type SessionRequest } from "../proto/gen/muster/v1/agent_pb.ts";
import { Commands } from "./commands.ts";

type Said = SessionRequest["message"];

let commands = new Commands(() => {});
afterEach(() => commands.end());

function begin(argv: string[], { id = "1", timeoutMs = 10_000, limit = 1 << 20 } = {}): void {
  const timeout = durationFromMs(timeoutMs);
  commands.run(create(RunCommandSchema, { id, argv, timeout, outputLimit: BigInt(limit) }));
}

const shell = (script: string) => ["/bin/sh", "-c", script];

/** Everything that is said up to the exit of the command. */
async function heard(id = "1"): Promise<{ out: string; err: string; exit: object; messages: number }> {
  const said: Said[] = [];
  await vi.waitFor(
    () => {
      for (let next = commands.next(); next; next = commands.next()) said.push(next.message as Said);
      const isExit = (message: Said) => message.case === "commandExit" && message.value.id === id;
      expect(said.some(isExit)).toBe(true);
    },
    { timeout: 10_000, interval: 5 },
  );
  const text = (error: boolean) =>
    said
      .map((message) =>
        message.case === "commandOutput" && (message.value.error ?? false) === error
          ? Buffer.from(message.value.content).toString()
          : "",
      )
      .join("");
  const exit = said.find(({ case: kind }) => kind === "commandExit")?.value ?? {};
  return { out: text(false), err: text(true), exit, messages: said.length };
}

function fresh(): void {
  commands.end();
  commands = new Commands(() => {});
}

describe("a command", () => {
  it("is run without a shell; its outputs come apart, then its exit code", async () => {
    fresh();
    begin(["printf", "%s", "$HOME;x"]);
    expect(await heard()).toEqual({
      out: "$HOME;x",
      err: "",
      exit: { id: "1", exitCode: 0, reason: "", droppedBytes: 0n },
      messages: 2,
    });
    begin(shell("echo out; echo err >&2; exit 3"));
    expect(await heard()).toMatchObject({ out: "out\n", err: "err\n", exit: { exitCode: 3, reason: "" } });
  });

  it("that prints nothing is one message", async () => {
    fresh();
    begin(["true"]);
    expect(await heard()).toMatchObject({ messages: 1, exit: { exitCode: 0 } });
  });

  it("`:` is answered by the agent itself", async () => {
    fresh();
    begin([":", "whatever"]);
    expect(commands.next()).toMatchObject({
      message: { case: "commandExit", value: { id: "1", exitCode: 0 } },
    });
  });

  it("that cannot be started, or dies of a signal, says so", async () => {
    fresh();
    begin(["no-such-program"]);
    expect((await heard()).exit).toMatchObject({
      exitCode: 127,
      reason: expect.stringMatching(/could not be started: .*ENOENT/),
    });
    begin(["echo", "a\0b"]);
    expect((await heard()).exit).toMatchObject({
      exitCode: 127,
      reason: expect.stringMatching(/could not be started/),
    });
    begin(shell("kill -SEGV $$"));
    expect((await heard()).exit).toMatchObject({ exitCode: 139, reason: "was ended by SIGSEGV" });
  });

  it("has its whole process group ended when it takes too long, by force if it must", async () => {
    fresh();
    begin(shell("sleep 100 & echo $!; wait"), { timeoutMs: 200 });
    const { out, exit } = await heard();
    expect(exit).toMatchObject({ exitCode: -1, reason: "took longer than 0.2 s" });
    expect(isAlive(Number(out))).toBe(false);
    const started = Date.now();
    begin(shell("trap '' TERM; echo $$; while :; do sleep 0.1; done"), { timeoutMs: 200 });
    const stubborn = await heard();
    expect(stubborn.exit).toMatchObject({ reason: "took longer than 0.2 s" });
    expect(Date.now() - started).toBeGreaterThan(2_000);
    expect(isAlive(Number(stubborn.out))).toBe(false);
  });

  it("is ended by a cancel, and by the end of the session", async () => {
    fresh();
    begin(["sleep", "100"]);
    commands.cancel("1");
    expect((await heard()).exit).toMatchObject({ exitCode: -1, reason: "was cancelled" });
    begin(shell("echo $$; exec sleep 100"));
    let pid = 0;
    await vi.waitFor(() => {
      const next = commands.next()?.message as Said | undefined;
      pid = next?.case === "commandOutput" ? Number(Buffer.from(next.value.content)) : pid;
      expect(pid).toBeGreaterThan(0);
    });
    commands.end();
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false));
    expect(commands.next()).toBeUndefined();
    begin(["true"]);
    expect(commands.next()).toBeUndefined();
  });

  it("is not waited for when what it leaves behind holds its outputs open", async () => {
    fresh();
    const started = Date.now();
    begin(shell("sleep 5 & echo started"));
    expect(await heard()).toMatchObject({ out: "started\n", exit: { exitCode: 0 } });
    expect(Date.now() - started).toBeLessThan(4_000);
  });

  it("has output beyond its limit dropped and counted", async () => {
    fresh();
    begin(shell("head -c 100000 /dev/zero | tr '\\0' x"), { limit: 70_000 });
    const { out, exit, messages } = await heard();
    expect(out).toBe("x".repeat(70_000));
    expect(exit).toMatchObject({ exitCode: 0, droppedBytes: 30_000n });
    expect(messages).toBeGreaterThan(2);
  });

  it("waits while its output is not sent, and loses nothing of it", async () => {
    fresh();
    begin(shell("head -c 3000000 /dev/zero | tr '\\0' x"), { limit: 4_000_000 });
    // Long enough for the linger, if the program ended.
    await new Promise((resolve) => setTimeout(resolve, 800));
    const { out } = await heard();
    expect(out.length).toBe(3_000_000);
  });

  it("shares the line with others", async () => {
    fresh();
    begin(shell("head -c 200000 /dev/zero"), { id: "loud" });
    await new Promise((resolve) => setTimeout(resolve, 300));
    begin(["echo", "hi"], { id: "quiet" });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const said = [commands.next(), commands.next()].map((next) => next?.message);
    expect(said).toMatchObject([{ value: { id: "loud" } }, { value: { id: "quiet" } }]);
  });

  it("is refused when too many run", async () => {
    fresh();
    for (let id = 0; id < 32; id++) begin(["sleep", "100"], { id: `s${id}` });
    begin(["true"], { id: "more" });
    expect((await heard("more")).exit).toMatchObject({ reason: "32 commands run here already" });
  });
});

function isAlive(pid: number): boolean {
  try {
    // A zombie that nobody has reaped yet does nothing any more.
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
