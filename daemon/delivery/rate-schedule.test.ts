// The schedule against a simulated sender: every node asks for its next chunk as soon as it has got one.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RateLimits } from "./options.ts";
import { RateSchedule, type Wish } from "./rate-schedule.ts";

const KiB = 1024;
const MiB = KiB * KiB;
const GiB = MiB * KiB;

type Node = { name: string; rack: string; chunk: number; need: number };
type Sent = { atMs: number; node: string; rack: string; bytes: number };

/** What is sent until all is, or the time is over. */
function play(limits: RateLimits, nodes: Node[], untilMs: number): Sent[] {
  const schedule = new RateSchedule<Wish>(limits);
  const left = new Map(nodes.map(({ name, need }) => [name, need]));
  const ask = ({ name, rack, chunk }: Node) => {
    const remaining = left.get(name) ?? 0;
    if (remaining > 0) schedule.add({ node: name, rack, bytes: Math.min(chunk, remaining), remaining });
  };
  for (const node of nodes) ask(node);
  const sent: Sent[] = [];
  for (let nowMs = 0; nowMs < untilMs; ) {
    for (const { node: name, rack, bytes } of schedule.grant(nowMs)) {
      sent.push({ atMs: nowMs, node: name, rack, bytes });
      left.set(name, (left.get(name) ?? 0) - bytes);
      const node = nodes.find((other) => other.name === name);
      if (node) ask(node);
    }
    const wait = schedule.waitMs(nowMs);
    if (wait === undefined) break;
    nowMs += Math.max(1, wait);
  }
  return sent;
}

const bytesOf = (sent: Sent[], node: string) =>
  sent.filter((one) => one.node === node).reduce((total, { bytes }) => total + bytes, 0);

const node = (name: string, need: number, rack = ""): Node => ({ name, rack, chunk: 256 * KiB, need });

const anyNodes = fc
  .array(
    fc.record({
      rack: fc.constantFrom("", "r1", "r2"),
      chunk: fc.integer({ min: 4 * KiB, max: 4 * MiB }),
      need: fc.integer({ min: 1, max: 200 * MiB }),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((nodes) => nodes.map((fields, i) => ({ ...fields, name: `n${i}` })));
const anyRate = fc.option(fc.integer({ min: 100 * KiB, max: 500 * MiB }), { nil: undefined });
const anyLimits = fc.record({ total: anyRate, rack: anyRate, node: anyRate });

describe("limits", () => {
  it("are kept: over any time nobody gets more than rate, burst and one chunk", () => {
    fc.assert(
      fc.property(anyLimits, anyNodes, (limits, nodes) => {
        const sent = play(limits, nodes, 1_000);
        const largest = Math.max(...nodes.map(({ chunk }) => chunk));
        const check = (rate: number | undefined, mine: Sent[]) => {
          if (rate === undefined) return;
          for (const [i, { atMs: firstMs }] of mine.entries()) {
            // Every window would be a square of them.
            if (i % 16) continue;
            let total = 0;
            for (const { atMs, bytes } of mine.slice(i)) {
              total += bytes;
              const allowed = (rate * (atMs - firstMs)) / 1000 + rate * 0.1 + largest + 1;
              expect(total).toBeLessThanOrEqual(allowed);
            }
          }
        };
        check(limits.total, sent);
        for (const rack of ["r1", "r2"])
          check(
            limits.rack,
            sent.filter((one) => one.rack === rack),
          );
        for (const { name } of nodes)
          check(
            limits.node,
            sent.filter((one) => one.node === name),
          );
      }),
      { numRuns: 60 },
    );
  });

  it("are used up: what is asked for is sent as fast as the rate allows", () => {
    const sent = play({ total: 10 * MiB }, [node("a", GiB), node("b", GiB)], 10_000);
    const total = bytesOf(sent, "a") + bytesOf(sent, "b");
    expect(total).toBeGreaterThan(98 * MiB);
    expect(total).toBeLessThan(103 * MiB);
  });

  it("of a rack or a node leave the others alone", () => {
    const nodes = [node("a", GiB, "r1"), node("b", GiB, "r1"), node("c", GiB, "r2"), node("d", GiB)];
    const sent = play({ rack: 10 * MiB, node: 8 * MiB }, nodes, 5_000);
    const rate = (name: string) => bytesOf(sent, name) / 5 / MiB;
    expect(rate("a") + rate("b")).toBeCloseTo(10, 0);
    expect(rate("c")).toBeCloseTo(8, 0);
    expect(rate("d")).toBeCloseTo(8, 0);
  });

  it("that are absent hold nobody back", () => {
    const sent = play({}, [node("a", 100 * MiB), node("b", 100 * MiB)], 1_000);
    expect(sent).toHaveLength(800);
  });
});

describe("turns", () => {
  it("are fair among nodes that need about as much, however many lanes they ask by", () => {
    const schedule = new RateSchedule<Wish>({ total: MiB });
    const wish = (name: string) => ({ node: name, rack: "", bytes: 64 * KiB, remaining: GiB });
    for (let i = 0; i < 400; i++) schedule.add(wish("greedy"));
    for (let i = 0; i < 100; i++) schedule.add(wish("modest"));
    const counts: Record<string, number> = {};
    for (let nowMs = 0; nowMs < 5_000; nowMs += 10) {
      for (const { node: name } of schedule.grant(nowMs)) counts[name] = (counts[name] ?? 0) + 1;
    }
    expect(Math.abs((counts.greedy ?? 0) - (counts.modest ?? 0))).toBeLessThanOrEqual(1);
  });

  it("go to nodes that are nearly done first", () => {
    const far = Array.from({ length: 9 }, (_, i) => node(`far${i}`, 10 * GiB));
    const sent = play({ total: 10 * MiB }, [...far, node("near", 20 * MiB)], 10_000);
    const done = sent.findLast((one) => one.node === "near")?.atMs ?? 0;
    expect(bytesOf(sent, "near")).toBe(20 * MiB);
    // In equal shares it would take 20 s.
    expect(done).toBeLessThan(3_500);
  });

  it("come to everyone: no node is passed over more often than five times for each that waits", () => {
    fc.assert(
      fc.property(anyNodes, fc.integer({ min: MiB, max: 50 * MiB }), (nodes, total) => {
        // A stream of newcomers that are all nearly done beside those that are not.
        const late = Array.from({ length: 6 }, (_, i) => node(`late${i}`, 100 * GiB));
        const all = [...nodes, ...late];
        const sent = play({ total }, all, 5_000).map((one) => one.node);
        for (const { name } of late) {
          let gap = 0;
          for (const other of sent) {
            gap = other === name ? 0 : gap + 1;
            expect(gap, name).toBeLessThanOrEqual(5 * all.length);
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  it("are not kept for those that have gone", () => {
    const schedule = new RateSchedule<Wish>({ total: MiB });
    const wish = { node: "a", rack: "", bytes: MiB, remaining: MiB };
    schedule.add(wish);
    schedule.remove(wish);
    expect(schedule.grant(0)).toEqual([]);
    expect(schedule.waitMs(0)).toBeUndefined();
  });
});
