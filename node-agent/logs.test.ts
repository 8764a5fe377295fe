import { describe, expect, it } from "vitest";
import { AttemptLog, LogBook } from "./logs.ts";
import { Outbox } from "./outbox.ts";

/** What a daemon would store: it takes only bytes that it does not have. */
function drain(log: AttemptLog, stored = ""): string {
  for (let chunk = log.next(); chunk; chunk = log.next()) {
    expect(chunk.offset).toBeLessThanOrEqual(stored.length);
    expect(chunk.content.length).toBeLessThanOrEqual(64 << 10);
    stored += chunk.content.subarray(stored.length - chunk.offset).toString();
  }
  return stored;
}

it("goes on where the acknowledgement ended, without gap or doubling", () => {
  const log = new AttemptLog("t");
  for (let line = 0; line < 20_000; line++) log.append(`line ${line}`);
  const first = log.next();
  const second = log.next();
  log.ack((first?.content.length ?? 0) + 7); // in the middle of the second chunk
  log.rewind();
  const again = log.next();
  expect(again?.offset).toBe((first?.content.length ?? 0) + 7);
  expect(again?.content.equals(second?.content.subarray(7) ?? Buffer.alloc(0))).toBe(true);
  log.rewind();
  const stored = drain(log, `${first?.content}${second?.content.subarray(0, 7)}`);
  expect(stored.split("\n").slice(0, -1)).toEqual(Array.from({ length: 20_000 }, (_, n) => `line ${n}`));
  log.ack(stored.length);
  expect(log.stored).toBe(true);
});

it("stops at its window until the daemon acknowledges", () => {
  const log = new AttemptLog("t", 100, 1000);
  for (let line = 0; line < 50; line++) log.append("0123456789");
  const chunk = log.next(); // one chunk may pass the window's end
  expect(log.next()).toBeUndefined();
  log.append("more");
  expect(log.next()).toBeUndefined();
  log.ack(chunk?.content.length ?? 0);
  expect(log.next()?.content.toString()).toBe("more\n");
});

it("drops the oldest lines that were never sent, and says so", () => {
  const log = new AttemptLog("t", 100, 200);
  for (let line = 0; line < 100; line++) log.append(`line ${String(line).padStart(4, "0")}`);
  const [note, ...lines] = drain(log).trimEnd().split("\n");
  expect(note).toBe("[900 bytes of this log are lost: the daemon did not take them in time]");
  expect(lines).toEqual(Array.from({ length: 10 }, (_, n) => `line 00${90 + n}`));
});

it("forgets a finished log when it is stored, and the oldest ones that never are", () => {
  const book = new LogBook();
  for (let attempt = 0; attempt < 10; attempt++) {
    book.append(`t${attempt}`, "x");
    book.finish(`t${attempt}`);
  }
  const tokens = () => {
    const seen = [];
    for (let chunk = book.next(); chunk; chunk = book.next()) seen.push(chunk.token);
    return seen;
  };
  expect(tokens()).toEqual(["t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9"]);
  book.ack("t5", 2);
  book.rewind();
  expect(tokens()).toEqual(["t2", "t3", "t4", "t6", "t7", "t8", "t9"]);
});

describe("a program that prints faster than the daemon takes it", () => {
  const piece = `${"x".repeat(64 << 10)}\n`;
  const token = "demo-1/n1/task/1";

  function full() {
    let now = 0;
    const timers = new Set<{ atMs: number; work: () => void }>();
    const outbox = new Outbox({
      now: () => now,
      clock: () => now,
      after(ms, work) {
        const timer = { atMs: now + ms, work };
        timers.add(timer);
        return () => timers.delete(timer);
      },
    });
    const pass = async (ms: number) => {
      now += ms;
      for (const timer of timers) if (timer.atMs <= now && timers.delete(timer)) timer.work();
      await new Promise((resolve) => setImmediate(resolve));
    };
    let waiting: Promise<void> | undefined;
    let count = 0;
    for (; !waiting; count++) waiting = outbox.output(token, piece);
    let goesOn = false;
    void waiting.then(() => {
      goesOn = true;
    });
    return { outbox, pass, count, goesOn: () => goesOn };
  }

  it("waits for room, and nothing is dropped", async () => {
    const { outbox, pass, count, goesOn } = full();
    await pass(59_000);
    expect(goesOn()).toBe(false);
    let stored = 0;
    for (let chunk = outbox.logs.next(); chunk; chunk = outbox.logs.next()) stored += chunk.content.length;
    outbox.ackLog(token, 1);
    await pass(1);
    expect(goesOn()).toBe(true);
    expect(stored).toBe(count * piece.length);
  });

  it("goes on after a minute without a daemon, and lines are dropped then", async () => {
    const { outbox, pass, goesOn } = full();
    await pass(61_000);
    expect(goesOn()).toBe(true);
    for (let more = 0; more < 64; more++) expect(outbox.output(token, piece)).toBeDefined();
    expect(outbox.logs.next()?.content.toString()).toContain("bytes of this log are lost");
  });
});
