// The way of a log from a step to the daemon's disk, over sessions that break at any moment.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { StepLogs } from "../../daemon/engine/step-logs.ts";
import { Outbox, type Outgoing } from "../../node-agent/outbox.ts";
import { systemTimers } from "../../node-agent/timers.ts";

const tokens = ["demo-1/n1/image/1", "demo-1/n1/seed/1"] as const;

/** One end of what may happen next, in any order. */
const happenings = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ write: fc.nat(1), lines: fc.array(fc.nat(5_000), { maxLength: 9 }) }),
    },
    { weight: 6, arbitrary: fc.record({ deliver: fc.nat(5), acknowledge: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ lose: fc.nat(3) }) },
  ),
  { maxLength: 40 },
);

it("neither loses nor doubles a line, however often the session breaks", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(happenings, async (all) => {
      const directory = mkdtempSync(join(tmpdir(), "logs-"));
      try {
        const outbox = new Outbox(systemTimers);
        const stored = new StepLogs(directory);
        const written = ["", ""];
        let session = new Stream(outbox);
        const deliver = async (most: number, acknowledge: boolean) => {
          for (let count = 0; count < most; count++) {
            const message = (await session.next())?.message;
            if (message?.case !== "log") return;
            const { token = "", offset = 0n, content = new Uint8Array() } = message.value;
            const end = await stored.append(token, BigInt(offset), content);
            if (acknowledge) outbox.ackLog(token, Number(end));
          }
        };
        let line = 0;
        for (const happens of all) {
          if ("lines" in happens) {
            for (const length of happens.lines) {
              const text = `${line++} ${"x".repeat(length)}`;
              outbox.log(tokens[happens.write] ?? "", text);
              written[happens.write] += `${text}\n`;
            }
          } else if ("lose" in happens) {
            // What was pulled and is still on the way is lost with the session.
            for (let count = 0; count < happens.lose; count++) await session.next();
            session = session.replaced();
          } else await deliver(happens.deliver, happens.acknowledge);
        }
        const lengths = tokens.map((token) => outbox.logs.finish(token));
        session = session.replaced();
        await deliver(Infinity, true);
        session.end();
        // A log that was stored in full before its end is not known any more.
        expect(lengths).toEqual(written.map((text, index) => (lengths[index] ? text.length : 0)));
        tokens.forEach((token, index) => {
          const text = written[index] ? readFileSync(join(directory, `${token}.log`), "utf8") : "";
          expect(text === written[index]).toBe(true);
        });
      } finally {
        rmSync(directory, { recursive: true });
      }
    }),
    { numRuns: 150 },
  );
});

/** The messages of one session. */
class Stream {
  readonly #outbox: Outbox;
  readonly #controller = new AbortController();
  readonly #messages: AsyncGenerator<Outgoing>;
  #next: Promise<IteratorResult<Outgoing>> | undefined;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
    outbox.begin({ message: { case: "heartbeat", value: {} } });
    this.#messages = outbox.stream(this.#controller.signal);
  }

  /** What there is to send now, if anything, after the message that the session began with. */
  async next(): Promise<Outgoing | undefined> {
    this.#next ??= this.#messages.next();
    const nothing = new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)));
    const result = await Promise.race([this.#next, nothing]);
    if (result) this.#next = undefined;
    return result?.value?.message?.case === "heartbeat" ? this.next() : result?.value;
  }

  replaced(): Stream {
    this.end();
    return new Stream(this.#outbox);
  }

  end(): void {
    this.#controller.abort();
  }
}
