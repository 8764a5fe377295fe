// A systemd unit as it should be: whether it runs, and whether it starts at boot.
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { CommandError } from "../runner.ts";
import type { ActionOf, Step, StepContext } from "../step.ts";
import { templatesOf } from "../template.ts";

/** `isStale`: its files are newer than what systemd knows of them. */
type Unit = { load: string; active: string; file: string; isStale: boolean };
type Deed = { action: string; argv: [string, ...string[]] };

/** Such units start at boot although nobody has enabled them by their own name. */
const startsAtBoot = ["enabled", "alias", "generated"];
/** They have no way to be enabled or disabled. */
const cannotBeEnabled = ["static", "transient", "indirect", ""];
const running = ["active", "reloading"];

export const service: Step<"service"> = async (action, context) => {
  const { render } = await templatesOf(context);
  const name = render("name", action.name);
  const unit = await unitOf(name, context);
  const wanted = deeds(name, action, unit);
  if (!wanted.length) return { result: `${name} is so already`, outcome: TaskOutcome.OK };
  if (!context.check) {
    if (unit.isStale) await context.run(["systemctl", "daemon-reload"]);
    for (const { action, argv } of wanted) {
      context.progress({ activity: `${action} ${name}` });
      await systemctl(name, argv, context);
    }
    await stillAsWanted(name, action, context);
  }
  const actions = wanted.map(({ action }) => action).join(", ");
  return {
    result: `${name}: ${context.check ? "would " : ""}${actions}`,
    outcome: TaskOutcome.CHANGED,
    changes: wanted.map(({ action }) => ({ what: `service ${name}`, action, diff: "" })),
  };
};

async function unitOf(name: string, { run, check }: StepContext): Promise<Unit> {
  const properties = "LoadState,ActiveState,UnitFileState,NeedDaemonReload";
  let shown: string;
  try {
    ({ stdout: shown } = await run(["systemctl", "show", `--property=${properties}`, "--", name]));
  } catch (error) {
    throw withoutSystemd(error);
  }
  const fields = new Map(shown.split("\n").map((line) => splitOnce(line)));
  const load = fields.get("LoadState") ?? "";
  const unit = {
    load,
    active: fields.get("ActiveState") ?? "",
    file: fields.get("UnitFileState") ?? "",
    isStale: fields.get("NeedDaemonReload") === "yes",
  };
  // In a check, the task that installs it has not done so.
  if (load === "not-found" && !check) {
    throw new Error(
      `there is no unit ${name} on this node; install its package in a task before, or mend the name`,
    );
  }
  return unit;
}

function deeds(name: string, { state, enabled }: ActionOf<"service">, unit: Unit): Deed[] {
  const deeds: Deed[] = [];
  const add = (verb: string) => deeds.push({ action: verb, argv: ["systemctl", verb, "--", name] });
  const isMasked = unit.load === "masked" || unit.file.startsWith("masked");
  if (isMasked && (enabled || (state && state !== "stopped"))) {
    throw new Error(`${name} is masked on this node; \`systemctl unmask ${name}\` in a task before`);
  }
  if (enabled === true && !startsAtBoot.includes(unit.file) && !cannotBeEnabled.includes(unit.file))
    add("enable");
  if (enabled === true && unit.load === "not-found") add("enable");
  if (enabled === false && startsAtBoot.includes(unit.file)) add("disable");
  const isRunning = running.includes(unit.active);
  if (state === "started" && !isRunning) add("start");
  if (state === "stopped" && unit.active !== "inactive" && unit.active !== "failed") add("stop");
  if (state === "restarted") add("restart");
  if (state === "reloaded") add(isRunning ? "reload" : "start");
  return deeds;
}

async function systemctl(name: string, argv: [string, ...string[]], { run }: StepContext): Promise<void> {
  try {
    await run(argv, { timeoutMs: Infinity });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    // systemd only says where to look.
    const last = await run(["journalctl", "--no-pager", "-q", "-n", "20", "-u", name], {
      okCodes: [0, 1],
    }).then(
      ({ stdout }) => stdout.trim().split("\n").at(-1) ?? "",
      () => "",
    );
    throw new CommandError(`${error.message}${last ? `; its journal ends with: ${last}` : ""}`, error.code);
  }
}

/** A service that ends at once was started all the same, for systemctl. */
async function stillAsWanted(
  name: string,
  { state }: ActionOf<"service">,
  context: StepContext,
): Promise<void> {
  if (state === "" || state === "stopped") return;
  const { active } = await unitOf(name, context);
  if (active === "failed") {
    throw new Error(`${name} was started and has failed; see \`journalctl -u ${name}\` on the node`);
  }
}

function withoutSystemd(error: unknown): unknown {
  if (!(error instanceof CommandError)) return error;
  if (error.code === -1 || /not been booted with systemd|connect to bus/i.test(error.message)) {
    return new CommandError(
      `systemd does not run on this node, so it has no services: ${error.message}`,
      error.code,
    );
  }
  return error;
}

function splitOnce(line: string): [string, string] {
  const at = line.indexOf("=");
  return [line.slice(0, at), line.slice(at + 1)];
}
