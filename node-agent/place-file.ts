// Makes a file as it should be: content, mode, owner and group. A reader never sees half of it.
import { chmod, chown, mkdir, mkdtemp, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type StepChangeSchema, TaskOutcome } from "../proto/gen/muster/v1/step_pb.ts";
import { groupId, userId } from "./owners.ts";
import { CommandError } from "./runner.ts";
import { shellQuote } from "./shell-quote.ts";
import type { StepContext, StepDone } from "./step.ts";
import { diffOf } from "./text-diff.ts";

export type WantedFile = {
  path: string;
  content: Buffer;
  /** Octal; 0644 if empty. */
  mode: string;
  /** root if empty. */
  owner: string;
  group: string;
  /** A command that must accept the file before it is put in its place, with `%s` for where it lies. */
  validate?: string;
};

type Change = MessageInitShape<typeof StepChangeSchema>;
type Place = Pick<StepContext, "run" | "log" | "check">;
type State = { content: Buffer; mode: number; uid: number; gid: number };

/** Says what has changed, or in a check would change; undefined if it is so already. */
export async function placeFile(file: WantedFile, place: Place): Promise<Change | undefined> {
  const { run, log, check } = place;
  const wanted: State = {
    content: file.content,
    mode: Number.parseInt(file.mode || "0644", 8),
    uid: await (check ? known(userId(file.owner, run)) : userId(file.owner, run)),
    gid: await (check ? known(groupId(file.group, run)) : groupId(file.group, run)),
  };
  const found = await stateOf(file.path);
  const change = await changeOf(file.path, found, wanted, place);
  if (!change) {
    log(`${file.path} is so already`);
    return undefined;
  }
  if (check) {
    if (file.validate) await validateApart(file, place);
    return change;
  }
  await mkdir(dirname(file.path), { recursive: true });
  const temporary = `${file.path}.muster-new`;
  try {
    await write(temporary, wanted);
    if (file.validate) await validate(file.validate, file.path, temporary, place);
    await rename(temporary, file.path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  log(`wrote ${wanted.content.length} bytes to ${file.path}, mode ${octal(wanted.mode)}`);
  return change;
}

/** What a task has done that makes files as they should be. */
export function filesDone(paths: readonly string[], changes: readonly Change[], check: boolean): StepDone {
  const [first = ""] = paths;
  const what = paths.length === 1 ? first : `${paths.length} files`;
  if (!changes.length) return { result: `${what}: unchanged`, outcome: TaskOutcome.OK, changes: [] };
  const count = paths.length === 1 ? "" : `${changes.length} of `;
  const done = check
    ? "would change"
    : changes[0]?.action === "create" && paths.length === 1
      ? "created"
      : "changed";
  return { result: `${count}${what}: ${done}`, outcome: TaskOutcome.CHANGED, changes: [...changes] };
}

/** In a check, whoever is to be made by a task before it is not there yet. */
async function known(id: Promise<number>): Promise<number> {
  return id.catch(() => Number.NaN);
}

async function stateOf(path: string): Promise<State | undefined> {
  try {
    const { mode, uid, gid } = await stat(path);
    return { content: await readFile(path), mode: mode & 0o7777, uid, gid };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function changeOf(
  path: string,
  found: State | undefined,
  wanted: State,
  { run }: Place,
): Promise<Change | undefined> {
  const what = `file ${path}`;
  if (!found) return { what, action: "create", diff: await diffOf(path, undefined, wanted.content, run) };
  const rights = [
    found.mode === wanted.mode ? "" : `mode ${octal(found.mode)} -> ${octal(wanted.mode)}\n`,
    found.uid === wanted.uid ? "" : `owner ${found.uid} -> ${named(wanted.uid)}\n`,
    found.gid === wanted.gid ? "" : `group ${found.gid} -> ${named(wanted.gid)}\n`,
  ].join("");
  if (found.content.equals(wanted.content))
    return rights ? { what, action: "set rights", diff: rights } : undefined;
  return { what, action: "update", diff: rights + (await diffOf(path, found.content, wanted.content, run)) };
}

async function write(path: string, { content, mode, uid, gid }: State): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  if (uid !== process.getuid?.() || gid !== process.getgid?.()) await chown(path, uid, gid);
  await chmod(path, mode);
}

async function validate(command: string, path: string, lies: string, { run }: Place): Promise<void> {
  const asked = command.replaceAll("%s", shellQuote(lies));
  try {
    await run(["/bin/sh", "-e", "-c", asked], { timeoutMs: Infinity });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(
      `the new ${path} is not valid, and the old one stays: ${error.message}`,
      error.code,
    );
  }
}

/** Away from where it belongs, as a check leaves nothing there. */
async function validateApart(file: WantedFile, place: Place): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "muster-check-"));
  try {
    const lies = join(directory, "file");
    await writeFile(lies, file.content, { mode: 0o600 });
    await validate(file.validate ?? "", file.path, lies, place);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function named(id: number): string {
  return Number.isNaN(id) ? "one that is not there yet" : `${id}`;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
