// What config tasks have changed, or in a check would change, as lines: nodes with the same changes stand together.
// Pure.
import type { Step } from "../proto/gen/muster/v1/deployment_pb.ts";
import { Step_State } from "../proto/gen/muster/v1/deployment_pb.ts";
import { type StepChange, TaskOutcome } from "../proto/gen/muster/v1/step_pb.ts";
import { clean } from "./format.ts";
import { nodesText } from "./node-names.ts";
import type { Tone } from "./words.ts";

export type ChangeLine = { text: string; tone?: Tone };

type Changed = Pick<Step, "node" | "task" | "state" | "outcome" | "reason" | "result" | "changes">;

/** Each change with its diff below it. */
export function changeLines(changes: readonly StepChange[]): ChangeLine[] {
  return changes.flatMap(({ what, action, diff }) => [
    { text: clean([action, what].filter(Boolean).join(" ")), tone: changeTone(action) },
    ...diffLines(diff),
  ]);
}

function changeTone(action: string): Tone {
  return /^(remove|purge|delete|stop|disable)/.test(action) ? "warn" : "accent";
}

function diffLines(diff: string): ChangeLine[] {
  if (!diff) return [];
  const lines = diff.replace(/\n$/, "").split("\n");
  return lines.map((line) => ({ text: `    ${clean(line)}`.trimEnd(), tone: diffTone(line) }));
}

function diffTone(line: string): Tone {
  if (/^(\+\+\+|---|@@|\\)/.test(line)) return "dim";
  if (line.startsWith("+")) return "ok";
  return line.startsWith("-") ? "fail" : "plain";
}

/** Steps of one task about which the same is to be said. */
type Group = { task: string; nodes: string[]; lines: ChangeLine[] };

/** In the order of the steps. */
function grouped(steps: Changed[], linesOf: (step: Changed) => ChangeLine[]): Group[] {
  const groups = new Map<string, Group>();
  for (const step of steps) {
    const { node, task } = step;
    const lines = linesOf(step);
    const key = JSON.stringify([task, lines]);
    const known = groups.get(key);
    if (known) known.nodes.push(node);
    else groups.set(key, { task, nodes: [node], lines });
  }
  return [...groups.values()];
}

/** All that a check has found, per task and the nodes on which it is the same. */
export function checkLines(steps: Iterable<Changed>): ChangeLine[] {
  const all = [...steps];
  const { CHANGED, OK, SKIPPED, IGNORED } = TaskOutcome;
  const told = (outcome: TaskOutcome) => all.filter((step) => step.outcome === outcome);
  const failed = all.filter(({ state, outcome }) => state === Step_State.FAILED || outcome === IGNORED);
  return [
    ...grouped(told(CHANGED), changesOf).flatMap(({ task, nodes, lines }) => [
      { text: `${task} on ${nodesText(nodes)} would change` },
      ...lines.map(({ text, tone }) => ({ text: `  ${text}`, tone })),
    ]),
    ...summed(failed, "cannot be checked", "fail"),
    ...summed(told(SKIPPED), "was not looked at", "dim"),
    ...grouped(told(OK), () => []).map(
      ({ task, nodes }): ChangeLine => ({
        text: `${task} on ${nodesText(nodes)} would change nothing`,
        tone: "dim",
      }),
    ),
  ];
}

function changesOf({ changes, result }: Changed): ChangeLine[] {
  return changes.length ? changeLines(changes) : [{ text: clean(result) || "it does not say what" }];
}

/** One line for each group: what became of it, and why. */
function summed(steps: Changed[], what: string, tone: Tone): ChangeLine[] {
  const groups = grouped(steps, ({ reason, result }) => [{ text: clean(reason || result) }]);
  return groups.map(({ task, nodes, lines }) => {
    const why = lines.map(({ text }) => text).join("");
    return { text: `${task} on ${nodesText(nodes)} ${what}${why && `: ${why}`}`, tone };
  });
}
