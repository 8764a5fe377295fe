import { describe, expect, it } from "vitest";
import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { ganttSvg } from "./gantt-svg.ts";
import { ganttLines } from "./gantt-text.ts";
import { reportOf } from "./report.ts";
import { reportHtml } from "./report-html.ts";
import { reportJson } from "./report-json.ts";
import { reportLines } from "./report-text.ts";
import { begin, small, World } from "./testing/world.ts";

const { RUNNING } = Step_State;

describe("a report", () => {
  it("as text", () => {
    expect(reportLines(small.report(90), 60).join("\n")).toMatchInlineSnapshot(`
      "d-1: succeeded, took 1m30s; 4 steps, 4 of them begun, 5 attempts

      c1 |aaaaaaaaaaaaaaaaaa                              cccccc|
      n1 |                  bbbbbbbbbbbbbbbbbb                  |
      n2 |                  bbbbb!  bbbbbbbbbbbbbbbbbbbbbb      |
         0                                                 1m30s
      a db  b app  c check  ! failed  ~ runs

      Failures
        STEP    #  STATE   AT    THEN         REASON
        n2/app  1  failed  +40s  tried again  exit code 2: no route <to> host

      Critical path
        STEP      BEGAN   TOOK  AFTER  WHY THEN
        c1/db     +0s     30s
        n2/app    +31s    9s    1s     requires it
        n2/app    +45s    35s   5s     tried again
        c1/check  +1m21s  9.5s  0.5s   requires it

      What steps waited for
        FOR                                       STEPS  TOGETHER
        steps that they require                   3      2m20s
        their next attempt                        1      5s
        their node's agent, or the end of a stop  2      2s

      Longest waits
        STEP    WAITED  FROM  FOR
        n2/app  5s      +40s  for attempt 2
        n1/app  1s      +30s  for its node's agent, or the end of a stop
        n2/app  1s      +30s  for its node's agent, or the end of a stop

      Slowest attempts
        STEP      #  TOOK  BEGAN
        n2/app    2  35s   +45s
        c1/db     1  30s   +0s
        n1/app    1  29s   +31s
        c1/check  1  9.5s  +1m21s
        n2/app    1  9s    +31s

      Tasks
        TASK   STEPS  ATTEMPTS  FAILED  TOGETHER  AVERAGE  LONGEST  WAITED
        app    2      3         1       1m13s     37s      35s      7s
        db     1      1                 30s       30s      30s
        check  1      1                 9.5s      9.5s     9.5s

      Roles
        ROLE        STEPS  ATTEMPTS  FAILED  TOGETHER  AVERAGE  LONGEST  WAITED
        compute     2      3         1       1m13s     37s      35s      7s
        controller  2      2                 40s       20s      30s"
    `);
  });

  it("draws what runs, and those that took longest of many nodes", () => {
    const world = new World().step("n1/a", [], [[0, 0, RUNNING]]);
    expect(ganttLines(world.report(undefined, 10).timeline, 30)[0]).toBe(`n1 |${"a".repeat(23)}~|`);
    const many = new World();
    for (let i = 0; i < 50; i++) many.step(`n${i}/a`, [], [[0, 10 + i]]);
    const lines = ganttLines(many.report(60).timeline, 60);
    expect(lines.at(-1)).toBe("and 10 more nodes that ended earlier; --svg or --html draws all");
    expect(lines.some((line) => line.startsWith("n9 "))).toBe(false);
    expect(lines[0]).toMatch(/^n10 \|/);
    expect(ganttLines(new World().report(1).timeline, 60)).toEqual(["no step has begun"]);
  });

  it("as a picture: a bar for each attempt, marked where it is on the critical path", () => {
    const svg = ganttSvg(small.report(90));
    const bars = svg.match(/<rect [^>]*><title>/g) ?? [];
    expect(bars).toHaveLength(5);
    expect(bars.filter((bar) => bar.includes('stroke="#111827"'))).toHaveLength(4);
    expect(svg).toContain(
      "<title>n2/app: failed, 9s from +31s; exit code 2: no route &lt;to&gt; host</title>",
    );
    expect(svg).toContain("<title>n2/app, attempt 2: succeeded, 35s from +45s</title>");
    expect(
      svg.match(/text-anchor="middle"[^>]*>([^<]+)</g)?.map((mark) => /([\w.]+)<$/.exec(mark)?.[1]),
    ).toEqual(["0s", "10s", "20s", "30s", "40s", "50s", "1m00s", "1m10s", "1m20s", "1m30s"]);
  });

  it("as a page that needs nothing else", () => {
    const html = reportHtml(small.report(90));
    expect(html).not.toMatch(/<script|<link|src=|href=|@import|url\((?!#)/);
    expect(html).toContain("<h2>Failures</h2>");
    expect(html).toContain("exit code 2: no route &lt;to&gt; host");
    expect(html).toContain("<svg ");
  });

  it("for programs", () => {
    const json = JSON.parse(JSON.stringify(reportJson(small.report(90))));
    expect(json).toMatchObject({ deployment: "d-1", state: "succeeded", took: 90_000 });
    expect(json.steps[2]).toMatchObject({
      step: "n2/app",
      ready: 30_000,
      readyAfter: "c1/db",
      attempts: [
        { number: 1, state: "failed", start: 31_000, end: 40_000 },
        { number: 2, state: "succeeded", start: 45_000, end: 80_000 },
      ],
      waits: [{ cause: "requirement" }, { cause: "node" }, { cause: "retry", from: 40_000, to: 45_000 }],
    });
    expect(json.tasks).toMatchObject([
      { name: "app", steps: 2, attempts: 3, failedAttempts: 1, sum: 73_000, longest: 35_000, waited: 7000 },
      { name: "db", sum: 30_000 },
      { name: "check", sum: 9500 },
    ]);
  });

  it("of 1,000 nodes is there in less than two seconds", () => {
    const big = new World();
    for (let n = 0; n < 1000; n++) {
      for (let t = 0; t < 6; t++) {
        const requires = t ? [`n${n}/t${t - 1}`] : [];
        big.step(
          `n${n}/t${t}`,
          requires,
          [[t * 10 + (n % 7), t * 10 + 9 + (n % 7)]],
          t === 3 ? { limit: 500 } : {},
        );
      }
    }
    const deployment = big.deployment(130);
    // Of the processor: other tests run at the same time.
    const before = process.cpuUsage();
    const report = reportOf(deployment, big.steps, big.attempts, begin);
    reportHtml(report);
    reportLines(report, 100);
    reportJson(report);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(2000);
  });
});
