// Debian packages by apt: installed, at a version, or removed. Says what has really become different.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type StepChangeSchema, TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import {
  apply,
  type Installed,
  installedPackages,
  isUnknownPackage,
  type PackageChange,
  simulate,
  updateLists,
} from "../packages.ts";
import type { ActionOf, Step, StepContext, StepDone } from "../step.ts";
import { templatesOf } from "../template.ts";

type Action = ActionOf<"package">;
type Change = MessageInitShape<typeof StepChangeSchema>;

// The name `package` is the language's own.
export const packages: Step<"package"> = async (step, context) => {
  const action = await rendered(step, context);
  const before = await installedPackages(context);
  if (isSo(action, before)) return { result: "the packages are so already", outcome: TaskOutcome.OK };
  if (context.check) return check(action, before, context);
  if (action.update) {
    context.progress({ activity: "reads the lists of packages" });
    await updateLists(context);
  }
  let planned: PackageChange[];
  try {
    planned = await simulate(aptArguments(action, before), context);
  } catch (error) {
    if (action.update || !isUnknownPackage(error)) throw error;
    context.log("apt does not know all of them: its lists are read anew");
    context.progress({ activity: "reads the lists of packages" });
    await updateLists(context);
    planned = await simulate(aptArguments(action, before), context);
  }
  context.progress({ activity: activityOf(planned), totalItems: planned.length });
  await apply(aptArguments(action, before), context);
  return done(differences(before.versions, (await installedPackages(context)).versions), false);
};

async function rendered(action: Action, context: StepContext): Promise<Action> {
  const { render } = await templatesOf(context);
  const words = (name: string, list: string[]) =>
    list.map((word, index) => render(`${name}[${index}]`, word).trim()).filter((word) => word !== "");
  const result = {
    ...action,
    install: words("install", action.install),
    remove: words("remove", action.remove),
  };
  for (const word of [...result.install, ...result.remove]) {
    // apt takes a sign at the end for the contrary, and one at the beginning for an option.
    if (/^[a-z0-9][a-z0-9.+-]*(:[a-z0-9-]+)?(=[\w.+:~*-]+)?$/.test(word)) continue;
    throw new Error(`\`${word}\` is no name of a package; write NAME or NAME=VERSION`);
  }
  return result;
}

function isSo(action: Action, installed: Installed): boolean {
  return !toRemove(action, installed).length && !toInstall(action, installed).length;
}

function toRemove({ remove }: Action, installed: Installed): string[] {
  return remove.filter((name) => installed.version(name) !== undefined);
}

/** With `upgrade` only apt knows which of them are the newest. */
function toInstall({ install, upgrade }: Action, installed: Installed): string[] {
  if (upgrade) return install;
  return install.filter((word) => {
    const [name = "", version] = word.split("=");
    const found = installed.version(name);
    return found === undefined || (version !== undefined && !matches(found, version));
  });
}

/** apt takes `1.18*` for every version that begins so. */
function matches(version: string, wanted: string): boolean {
  const pattern = wanted.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${pattern.join(".*")}$`).test(version);
}

function aptArguments(action: Action, installed: Installed): string[] {
  const install = toInstall(action, installed);
  const isPinned = install.some((word) => word.includes("="));
  return [
    "install",
    ...(action.purge ? ["--purge"] : []),
    ...(isPinned ? ["--allow-downgrades"] : []),
    "--",
    ...install,
    // A sign at the end: that one is to go, in the same run, so that what conflicts can change places.
    ...toRemove(action, installed).map((name) => `${name}-`),
  ];
}

async function check(action: Action, before: Installed, context: StepContext): Promise<StepDone> {
  try {
    return done(await simulate(aptArguments(action, before), context), true);
  } catch (error) {
    if (!isUnknownPackage(error)) throw error;
    // The lists may be old, and a check does not change them.
    const missing = toInstall(action, before);
    const changes = missing.map((word) => ({ what: `package ${word}`, action: "install", diff: "" }));
    const result = `would install ${missing.join(", ")}, if newer lists of packages have it`;
    return { result, outcome: TaskOutcome.CHANGED, changes };
  }
}

function done(changes: readonly PackageChange[], wasChecked: boolean): StepDone {
  if (!changes.length) return { result: "no package has changed", outcome: TaskOutcome.OK };
  const counts = ["install", "upgrade", "remove"].flatMap((action) => {
    const count = changes.filter((change) => change.action === action).length;
    return count ? [`${action} ${count}`] : [];
  });
  return {
    result: `${wasChecked ? "would " : ""}${counts.join(", ")}: ${named(changes)}`,
    outcome: TaskOutcome.CHANGED,
    changes: changes.map(({ name, action, text }): Change => {
      return { what: `package ${name}`, action, diff: text && `${text}\n` };
    }),
  };
}

function differences(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): PackageChange[] {
  const changes: PackageChange[] = [];
  for (const [name, version] of after) {
    const old = before.get(name);
    if (old === undefined) changes.push({ name, action: "install", text: version });
    else if (old !== version) changes.push({ name, action: "upgrade", text: `${old} -> ${version}` });
  }
  for (const [name, version] of before) {
    if (!after.has(name)) changes.push({ name, action: "remove", text: version });
  }
  return changes;
}

function activityOf(planned: readonly PackageChange[]): string {
  return planned.length ? `apt: ${named(planned)}` : "apt";
}

function named(changes: readonly PackageChange[]): string {
  const names = changes.slice(0, 8).map(({ name }) => name);
  return (
    names.join(", ") + (changes.length > names.length ? ` and ${changes.length - names.length} more` : "")
  );
}
