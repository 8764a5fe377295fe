// `muster report`: when each step of a deployment ran, and what it waited for. Changes nothing.
import { writeFile } from "node:fs/promises";
import type { Operator } from "../client.ts";
import { exitCode, RefusedError } from "../errors.ts";
import type { Io } from "../io.ts";
import { type OutputOptions, wantsJson } from "../output.ts";
import { allPages, filterOf } from "../pages.ts";
import { ganttSvg } from "../report/gantt-svg.ts";
import { reportOf } from "../report/report.ts";
import { reportHtml } from "../report/report-html.ts";
import { reportJson } from "../report/report-json.ts";
import { reportLines } from "../report/report-text.ts";

type ReportOptions = OutputOptions & { svg?: string; html?: string };

export async function report(
  { deployments }: Operator,
  io: Io,
  name: string,
  options: ReportOptions,
): Promise<number> {
  const { deployment, steps } = await deployments.getDeployment({ name });
  if (!deployment) throw new Error(`the daemon sent no deployment ${name}`);
  const attempts = await allPages(
    (request) => deployments.listAttempts(request),
    (page) => page.attempts,
    { filter: filterOf({ deployment: deployment.name }) },
  );
  const report = reportOf(deployment, steps, attempts, io.now());
  if (wantsJson(options)) {
    io.out(JSON.stringify(reportJson(report), null, 2));
    return exitCode.ok;
  }
  if (options.svg) await save(options.svg, ganttSvg(report));
  if (options.html) await save(options.html, reportHtml(report));
  if (!options.svg && !options.html) for (const line of reportLines(report, io.columns)) io.out(line);
  return exitCode.ok;
}

async function save(file: string, content: string): Promise<void> {
  try {
    await writeFile(file, content);
  } catch (error) {
    throw new RefusedError(`${file} cannot be written: ${error instanceof Error ? error.message : error}`);
  }
}
