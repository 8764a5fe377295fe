// The tables of a report, for text and for pages alike: a title, what the columns are, the rows. Pure.
import { clean, formatDuration } from "../format.ts";
import { stepState } from "../words.ts";
import type { Report } from "./report.ts";
import { waitedFor } from "./totals.ts";
import type { Cause } from "./waits.ts";

export type Section = { title: string; header: string[]; rows: string[][] };

/** So many rows of waits are shown, the longest. */
const shownWaits = 15;

const causes: Record<Cause, string> = {
  requirement: "steps that they require",
  limit: "the limit of their task",
  busy: "another step of their node",
  hold: "a go",
  retry: "their next attempt",
  node: "their node's agent, or the end of a stop",
};

/** Those that say something. */
export function sectionsOf(report: Report): Section[] {
  const all = [
    failureSection(report),
    chainSection(report),
    causeSection(report),
    waitSection(report),
    slowSection(report),
  ];
  const totals = [
    totalSection("Tasks", "TASK", report.tasks),
    totalSection("Roles", "ROLE", report.roles),
    {
      title: "Left out",
      header: ["STEPS", "WHY"],
      rows: [...report.leftOut].map(([reason, count]) => [String(count), clean(reason)]),
    },
  ];
  return [...all, ...totals].filter(({ rows }) => rows.length > 0);
}

function failureSection({ failures, timeline }: Report): Section {
  const rows = failures.map(({ step, number, state, reason, end, last }) => [
    step,
    String(number),
    stepState(state).word,
    `+${formatDuration(end - timeline.start)}`,
    last ? "" : "tried again",
    clean(reason),
  ]);
  return { title: "Failures", header: ["STEP", "#", "STATE", "AT", "THEN", "REASON"], rows };
}

function chainSection({ chain, timeline }: Report): Section {
  const rows = chain.map(({ step, start, end, waited, why }) => [
    step,
    `+${formatDuration(start - timeline.start)}`,
    formatDuration(end - start),
    waited > 0 ? formatDuration(waited) : "",
    why,
  ]);
  return {
    title: "Critical path",
    header: ["STEP", "BEGAN", "TOOK", "AFTER", "WHY THEN"],
    rows,
  };
}

function causeSection({ waits }: Report): Section {
  const rows = [...waitedFor(waits)]
    .sort(([, a], [, b]) => b.sum - a.sum)
    .map(([cause, { steps, sum }]) => [causes[cause], String(steps), formatDuration(sum)]);
  return { title: "What steps waited for", header: ["FOR", "STEPS", "TOGETHER"], rows };
}

/** Waiting for other steps is no delay, and is not listed one by one. */
function waitSection({ waits, timeline }: Report): Section {
  const rows = waits
    .filter(({ cause }) => cause !== "requirement")
    .sort((a, b) => b.to - b.from - (a.to - a.from))
    .slice(0, shownWaits)
    .map(({ step, from, to, words }) => [
      step,
      formatDuration(to - from),
      `+${formatDuration(from - timeline.start)}`,
      words,
    ]);
  return { title: "Longest waits", header: ["STEP", "WAITED", "FROM", "FOR"], rows };
}

function slowSection({ slowest, timeline }: Report): Section {
  const rows = slowest.map(({ step, number, start, end }) => [
    step,
    String(number),
    formatDuration(end - start),
    `+${formatDuration(start - timeline.start)}`,
  ]);
  return { title: "Slowest attempts", header: ["STEP", "#", "TOOK", "BEGAN"], rows };
}

function totalSection(title: string, column: string, totals: Report["tasks"]): Section {
  const rows = totals.map(({ name, steps, attempts, failedAttempts, sum, longest, average, waited }) => [
    name || "-",
    String(steps),
    String(attempts),
    failedAttempts ? String(failedAttempts) : "",
    formatDuration(sum),
    formatDuration(average),
    formatDuration(longest),
    waited ? formatDuration(waited) : "",
  ]);
  return {
    title,
    header: [column, "STEPS", "ATTEMPTS", "FAILED", "TOGETHER", "AVERAGE", "LONGEST", "WAITED"],
    rows,
  };
}
