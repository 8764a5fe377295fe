// `muster run`: one command on many nodes, what they say grouped by what is the same.
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { foldNodes } from "../../proto/filter/node-list.ts";
import { everyNode } from "../../proto/filter/selector.ts";
import type { RunChosen } from "../../proto/gen/muster/v1/run_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode, RefusedError } from "../errors.ts";
import { clean, formatBytes, plural } from "../format.ts";
import type { Io } from "../io.ts";
import { type OutputOptions, wantsJson } from "../output.ts";
import { type RunGroup, RunGroups } from "../run-groups.ts";
import { durationMs } from "./wait.ts";

export type RunOptions = OutputOptions & {
  selector: string[];
  batch?: number;
  timeout?: string;
  yes?: boolean;
};

/** How often the line that counts is drawn anew, at most. */
const drawEveryMs = 100;

export async function runCommand(
  { runs }: Operator,
  io: Io,
  argv: string[],
  options: RunOptions,
): Promise<number> {
  const { selector: selectors, batch = 0 } = options;
  if (!options.yes && selectors.every((selector) => selector.trim() === everyNode)) {
    throw new RefusedError(`-l '${everyNode}' is every node; --yes agrees to it`);
  }
  const timeout = options.timeout === undefined ? undefined : durationFromMs(durationMs(options.timeout));
  const groups = new RunGroups();
  const counter = new Counter(io, groups);
  let chosen: Pick<RunChosen, "nodes" | "offline"> = { nodes: [], offline: [] };
  try {
    for await (const { message } of runs.run({ selectors, argv, batch, timeout }, { signal: io.signal })) {
      if (message.case === "chosen") chosen = message.value;
      else if (message.case === "output") groups.output(message.value);
      else if (message.case === "ended") groups.end(message.value);
      counter.show(chosen.nodes.length - chosen.offline.length);
    }
  } catch (error) {
    if (!io.signal.aborted) throw error;
  } finally {
    counter.clear();
  }
  groups.giveUp(chosen.offline, "it has no session");
  if (io.signal.aborted) groups.giveUp(chosen.nodes, "interrupted");
  if (wantsJson(options)) io.out(json(chosen.nodes, groups));
  else for (const group of groups.groups()) printGroup(io, group);
  if (io.signal.aborted) {
    io.err("muster: interrupted; what still ran is being ended");
    return exitCode.interrupted;
  }
  return groups.failed === 0 ? exitCode.ok : exitCode.failed;
}

function printGroup(io: Io, group: RunGroup): void {
  const { nodes, stdout, stderr, droppedBytes } = group;
  io.out(`${foldNodes(nodes)} (${plural(nodes.length, "node")}), ${how(group)}:`);
  for (const content of [stdout, stderr]) {
    if (content.length === 0) continue;
    const lines = content.toString().replace(/\n$/, "").split("\n");
    for (const line of lines) io.out(io.terminal ? clean(line) : line);
  }
  if (droppedBytes) io.out(`(${formatBytes(droppedBytes)} more were dropped)`);
}

function how({ exitCode: code, reason }: RunGroup): string {
  if (!reason) return `exit ${code}`;
  return code > 0 ? `exit ${code}, ${clean(reason)}` : clean(reason);
}

function json(nodes: string[], groups: RunGroups): string {
  const items = groups.groups().map(({ stdout, stderr, droppedBytes, ...group }) => ({
    ...group,
    stdout: stdout.toString(),
    stderr: stderr.toString(),
    droppedBytes: Number(droppedBytes),
  }));
  return JSON.stringify({ nodes, items }, null, 2);
}

/** On a terminal, a line that says how far it is. */
class Counter {
  readonly #io: Io;
  readonly #groups: RunGroups;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(io: Io, groups: RunGroups) {
    this.#io = io;
    this.#groups = groups;
  }

  show(of: number): void {
    const now = this.#io.now();
    if (!this.#io.terminal || now - this.#drawnAt < drawEveryMs) return;
    this.#drawnAt = now;
    const { ended, failed } = this.#groups;
    this.#draw(`${ended}/${of} done${failed ? `, ${failed} failed` : ""}`);
  }

  clear(): void {
    if (this.#io.terminal) this.#draw("");
  }

  #draw(text: string): void {
    this.#io.write(Buffer.from(`\r\x1b[K${text}`));
  }
}
