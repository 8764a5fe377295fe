// A report as lines. Pure.
import { clean, formatDuration, plural } from "../format.ts";
import { indent, table } from "../text-table.ts";
import { deploymentState } from "../words.ts";
import { ganttLines } from "./gantt-text.ts";
import type { Report } from "./report.ts";
import { sectionsOf } from "./report-rows.ts";

export function reportLines(report: Report, width: number): string[] {
  const sections = sectionsOf(report).flatMap(({ title, header, rows }) => [
    "",
    title,
    ...indent(table(header, rows)),
  ]);
  return [...headLines(report), "", ...ganttLines(report.timeline, width), ...sections];
}

/** What it is a report of. */
export function headLines({ timeline }: Report): string[] {
  const { deployment, start, end, ended, steps, ofNode } = timeline;
  const begun = steps.filter(({ bars }) => bars.length > 0).length;
  const attempts = [...ofNode.values()].reduce((sum, bars) => sum + bars.length, 0);
  const took = `${ended ? "took" : "has been running for"} ${formatDuration(end - start)}`;
  const counts = `${plural(steps.length, "step")}, ${begun} of them begun, ${plural(attempts, "attempt")}`;
  const lines = [`${deployment.name}: ${deploymentState(deployment.state).word}, ${took}; ${counts}`];
  return deployment.reason ? [...lines, clean(deployment.reason)] : lines;
}
