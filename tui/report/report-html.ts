// A report as one page that needs nothing else: no script, no font, no address. Pure.
import { escapeXml } from "../../proto/render/xml.ts";
import { ganttSvg } from "./gantt-svg.ts";
import type { Report } from "./report.ts";
import { type Section, sectionsOf } from "./report-rows.ts";
import { headLines } from "./report-text.ts";

const style = `
body { font: 14px/1.45 system-ui, sans-serif; color: #111827; margin: 24px; }
h1 { font-size: 20px; } h2 { font-size: 16px; margin-top: 28px; }
table { border-collapse: collapse; } th, td { text-align: left; padding: 3px 14px 3px 0; vertical-align: top; }
th { font-size: 11px; color: #6b7280; border-bottom: 1px solid #d1d5db; } td { border-bottom: 1px solid #f3f4f6; }
.timeline { overflow-x: auto; }`;

export function reportHtml(report: Report): string {
  const { name } = report.timeline.deployment;
  return [
    "<!DOCTYPE html>",
    '<html lang="en"><head><meta charset="utf-8">',
    `<title>${escapeXml(name)}</title>`,
    `<style>${style}\n</style></head><body>`,
    `<h1>${escapeXml(name)}</h1>`,
    ...headLines(report).map((line) => `<p>${escapeXml(line)}</p>`),
    `<div class="timeline">${ganttSvg(report)}</div>`,
    ...sectionsOf(report).flatMap(sectionHtml),
    "</body></html>",
    "",
  ].join("\n");
}

function sectionHtml({ title, header, rows }: Section): string[] {
  const cells = (tag: string, row: string[]) =>
    row.map((cell) => `<${tag}>${escapeXml(cell)}</${tag}>`).join("");
  return [
    `<h2>${escapeXml(title)}</h2>`,
    `<table><thead><tr>${cells("th", header)}</tr></thead><tbody>`,
    ...rows.map((row) => `<tr>${cells("td", row)}</tr>`),
    "</tbody></table>",
  ];
}
