// What a step does, in one line: for plans, descriptions and failures. Secrets are in no action, only their names.
// Pure.
import type { StepAction, StepInputs } from "../proto/gen/muster/v1/step_pb.ts";
import type { PackageAction, ServiceAction, WaitForAction } from "../proto/gen/muster/v1/task_pb.ts";
import { clean, plural } from "./format.ts";

type Kind = StepAction["kind"];

/** Empty for provisioning, whose work a plan shows by its disks, and for joins. */
export function actionText(action: StepAction | undefined): string {
  return action ? clean(textOf(action.kind)) : "";
}

/** Whether a plan's step configures a system, other than provisions it or joins steps. */
export function isConfigAction(action: StepAction | undefined): boolean {
  return actionText(action) !== "";
}

function textOf(kind: Kind): string {
  switch (kind.case) {
    case "shell": {
      const { command, script, arguments: words } = kind.value;
      return `shell ${script ? [script, ...words].join(" ") : firstLine(command)}`;
    }
    case "uploadFile":
      return `file ${kind.value.path}`;
    case "uploadFiles":
      return `files ${listed(kind.value.files.map(({ path }) => path))}`;
    case "sync":
      return `sync ${kind.value.source} to ${kind.value.path}${kind.value.delete ? ", removing what else is there" : ""}`;
    case "copyFiles":
      return `copy ${listed(kind.value.files.map(({ source, path }) => `${source} to ${path}`))}`;
    case "template":
      return `template ${kind.value.source ? `${kind.value.source} to ` : ""}${kind.value.path}`;
    case "mergeConfig":
      return `merge ${plural(kind.value.layers.length, `${kind.value.format} layer`)} into ${kind.value.path}`;
    case "package":
      return packageText(kind.value);
    case "service":
      return serviceText(kind.value);
    case "puppet":
      return `puppet apply ${kind.value.source || firstLine(kind.value.manifest)}`;
    case "ansible":
      return ansibleText(kind.value);
    case "restart":
      return kind.value.onlyIf
        ? `restart the machine if ${kind.value.onlyIf} is there`
        : "restart the machine";
    case "waitFor":
      return `wait for ${waitText(kind.value.what)}`;
    case "fetch":
      return `fetch ${kind.value.path}`;
    case "noop":
      return "nothing: a point that others wait for";
    default:
      return "";
  }
}

function packageText({ install, remove, purge, upgrade }: PackageAction): string {
  const parts = [
    install.length && `${upgrade ? "install or upgrade" : "install"} ${listed(install)}`,
    remove.length && `${purge ? "purge" : "remove"} ${listed(remove)}`,
  ];
  return `packages: ${parts.filter(Boolean).join("; ")}`;
}

function serviceText({ name, state, enabled }: ServiceAction): string {
  const parts = [state, enabled === undefined ? "" : enabled ? "enabled" : "disabled"];
  return `service ${name}: ${parts.filter(Boolean).join(", ") || "as it is"}`;
}

function ansibleText({
  source,
  playbook,
  tags,
}: {
  source: string;
  playbook: string;
  tags: string[];
}): string {
  return `ansible ${source}/${playbook || "site.yml"}${tags.length ? ` with tags ${tags.join(", ")}` : ""}`;
}

function waitText(what: WaitForAction["what"]): string {
  if (what.case === "port") return `port ${what.value}`;
  if (what.case === "file") return `file ${what.value}`;
  if (what.case === "command") return `command ${firstLine(what.value)}`;
  return what.value ?? "nothing";
}

/** The very command that a node runs for it; empty if it is more than one. */
export function commandText(action: StepAction | undefined): string {
  if (action?.kind.case === "shell") {
    const { command, script, arguments: words } = action.kind.value;
    return script ? [script, ...words].join(" ") : command.trim();
  }
  return action?.kind.case === "puppet" || action?.kind.case === "ansible" ? actionText(action) : "";
}

/** `db-password as db`: a secret's name, and the name by which the action sees it. Its content is nowhere here. */
export function secretsText(inputs: StepInputs | undefined): string {
  const secrets = Object.entries(inputs?.secrets ?? {});
  return secrets
    .map(([name, secret]) => (name === secret.replaceAll("-", "_") ? secret : `${secret} as ${name}`))
    .join(", ");
}

const shownNames = 3;

function listed(names: string[]): string {
  const shown = names.slice(0, shownNames).join(", ");
  return names.length > shownNames ? `${shown} and ${names.length - shownNames} more` : shown;
}

/** Of text with several lines the first that says something, and that there are more. */
function firstLine(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() && !/^\s*(#|set -)/.test(line));
  const first = (lines[0] ?? text).trim();
  return lines.length > 1 ? `${first} … (${lines.length} lines)` : first;
}
