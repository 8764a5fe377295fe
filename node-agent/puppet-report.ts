// The report that a run of Puppet leaves: what has changed, what has failed and where. It is YAML with Ruby's tags.
import { parseDocument } from "yaml";
import type { Change } from "./tree-file.ts";

export type PuppetReport = {
  total: number;
  changes: Change[];
  /** `RESOURCE (FILE:LINE): message`, in the order of the run. */
  failures: string[];
  /** Because of what has failed. */
  skipped: number;
};

type Event = {
  property: string;
  previous: unknown;
  desired: unknown;
  message: string;
  status: string;
};

/** `diffs`: by resource. `strip` as of PuppetLog. Undefined if it is no report. */
export function readReport(
  text: string,
  diffs: ReadonlyMap<string, string>,
  strip: (text: string) => string,
): PuppetReport | undefined {
  const root: unknown = parseDocument(text, { logLevel: "silent", uniqueKeys: false }).toJS();
  const statuses = fieldOf(root, "resource_statuses");
  if (typeof statuses !== "object" || statuses === null) return undefined;
  const report: PuppetReport = { total: 0, changes: [], failures: [], skipped: 0 };
  for (const [resource, status] of Object.entries(statuses)) {
    // Puppet's own schedules and file bucket stand in no file.
    const file = fieldOf(status, "file");
    if (typeof file !== "string" || !file) continue;
    report.total++;
    const events = eventsOf(status);
    if (fieldOf(status, "failed") === true || fieldOf(status, "failed_to_restart") === true) {
      report.failures.push(
        `${resource} (${strip(file)}:${fieldOf(status, "line")}): ${strip(failureOf(events))}`,
      );
    } else if (fieldOf(status, "skipped") === true) report.skipped++;
    const changed = events.filter(({ status: how }) => how === "success" || how === "noop");
    if (!changed.length) continue;
    const details = changed.map(({ message }) => `${strip(message)}\n`).join("");
    report.changes.push({
      what: resource,
      action: actionOf(resource, changed),
      diff: diffs.get(resource) ?? details,
    });
  }
  return report;
}

function eventsOf(status: unknown): Event[] {
  const events = fieldOf(status, "events");
  if (!Array.isArray(events)) return [];
  return events.map((event: unknown) => ({
    property: String(fieldOf(event, "property") ?? ""),
    previous: fieldOf(event, "previous_value"),
    desired: fieldOf(event, "desired_value"),
    message: String(fieldOf(event, "message") ?? ""),
    status: String(fieldOf(event, "status") ?? ""),
  }));
}

function failureOf(events: Event[]): string {
  const messages = events.filter(({ status }) => status === "failure").map(({ message }) => message);
  return messages.join("; ") || "it failed; the log says why";
}

function actionOf(resource: string, events: Event[]): string {
  if (resource.startsWith("Exec[")) return "run";
  const ensure = events.find(({ property }) => property === "ensure");
  if (!ensure) return events.every(({ property }) => property === "") ? "refresh" : "update";
  const { previous, desired } = ensure;
  if (resource.startsWith("Service[")) return desired === "stopped" ? "stop" : "start";
  const isPackage = resource.startsWith("Package[");
  if (["absent", "purged"].includes(String(desired))) return "remove";
  if (["absent", "purged"].includes(String(previous))) return isPackage ? "install" : "create";
  return "update";
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
