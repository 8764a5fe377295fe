// One deployment, live: tasks × nodes with counts and barriers, then every node with what it does in bytes, rate and
// ETA; of a check also what would change.
import {
  type Deployment,
  type Progress,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { bar, elapsed, formatAge, formatProgress, percent, progressShare } from "../format.ts";
import { itemNoun } from "../item-noun.ts";
import { progressOf, stepsOf } from "../model.ts";
import { waves } from "../plan-order.ts";
import { leftOutLines } from "../plan-tasks.ts";
import { checkLines } from "../task-changes.ts";
import {
  countSteps,
  deploymentState,
  isCheck,
  isHeld,
  isJoin,
  runText,
  stepWord,
  type Tone,
} from "../words.ts";
import {
  type Column,
  type Line,
  line,
  type Row,
  rule,
  type Scene,
  type Screen,
  tableLines,
  toned,
} from "./lines.ts";

/** Beyond this many nodes the matrix would not fit; the counts say the same. */
const matrixNodeLimit = 8;

export function deploymentScreen(scene: Scene, name: string): Screen {
  const deployment = scene.world.deployments.get(name);
  const title = `Deployments › ${name}`;
  if (!deployment) return { title, head: [], body: [line(`deployment ${name} is not known`, "dim")] };
  const steps = stepsOf(scene.world, deployment);
  const work = steps.filter((step) => !isJoin(step));
  const { head, body } = matrix(scene, deployment, steps);
  return {
    title,
    head: summary(scene, deployment, steps),
    body: [
      head,
      ...body,
      ...layoutOf(deployment).left,
      rule(scene, "Nodes"),
      ...nodeLines(scene, deployment, work),
      ...checkedLines(scene, deployment, work),
    ],
  };
}

type Layout = {
  /** In the order of the graph. */
  tasks: string[];
  /** What is left out, and why. */
  left: Line[];
};

// It follows from the plan alone, and takes long to find out for a big one.
const layouts = new WeakMap<Deployment, Layout>();

function layoutOf(deployment: Deployment): Layout {
  const known = layouts.get(deployment);
  if (known) return known;
  const { plan } = deployment;
  const taken = plan?.steps.filter(({ skippedBecause }) => !skippedBecause) ?? [];
  const left = plan ? leftOutLines(plan).slice(2) : [];
  const layout = {
    tasks: [...new Set(waves(taken).flatMap((wave) => wave.map(({ task }) => task)))],
    left: left.map(({ text }) => line(`left out: ${text.trim()}`, "dim")),
  };
  layouts.set(deployment, layout);
  return layout;
}

/** What a check has found so far. */
function checkedLines(scene: Scene, deployment: Deployment, steps: Step[]): Line[] {
  if (!isCheck(deployment)) return [];
  const lines = checkLines(steps).map(({ text, tone }) => line(text, tone));
  return [rule(scene, "Would change"), ...(lines.length ? lines : [line("nothing known yet", "dim")])];
}

function summary(scene: Scene, deployment: Deployment, steps: Step[]): Line[] {
  const { word, tone } = deploymentState(deployment.state);
  const { done, total, changed, ignored, failed, cancelled, blocked, held } = countSteps(steps);
  const took = elapsed(deployment.startTime, deployment.endTime, scene.now);
  const check = isCheck(deployment);
  const facts = [
    runText(deployment),
    check && "changes nothing",
    `${done}/${total} steps`,
    changed > 0 && `${changed} ${check ? "would change" : "changed"}`,
    ignored > 0 && `${ignored} ignored`,
    failed > 0 && `${failed} failed`,
    cancelled > 0 && `${cancelled} cancelled`,
    blocked > 0 && `${blocked} blocked`,
    held > 0 && `${held} held`,
    took,
  ];
  const rest = facts.filter(Boolean).join("   ");
  const head: Line = {
    segments: [
      { ...toned(scene.glyphs, word, tone), bold: true },
      { text: `   ${rest}   ` },
      { text: deployment.reason, tone: "dim" },
    ],
  };
  return [head];
}

/** Tasks in the order of the graph; a cell says how that task stands on that node. */
function matrix(scene: Scene, deployment: Deployment, steps: Step[]): { head: Line; body: Line[] } {
  const byTask = Map.groupBy(steps, ({ task }) => task);
  const tasks = new Set([...layoutOf(deployment).tasks, ...byTask.keys()]);
  const nodes = [...new Set(steps.filter((step) => !isJoin(step)).map(({ node }) => node))];
  const shown = nodes.length <= matrixNodeLimit ? nodes : [];
  const { idle, busy, ok, fail, warn } = scene.glyphs;
  const counts = [idle, busy, ok, fail, warn].map((title): Column => ({ title, right: true }));
  const columns = [
    { title: "TASK" },
    ...counts,
    ...shown.map((title, index) => ({ title, drop: shown.length - index })),
  ];
  const rows = [...tasks].map((task): Row => {
    const members = byTask.get(task) ?? [];
    const [join] = members;
    if (join && isJoin(join)) return barrierRow(scene, join);
    const { pending, running, done, failed, cancelled, blocked } = countSteps(members);
    const count = (value: number, tone: Tone) => ({ text: value ? String(value) : "", tone });
    const numbers = [
      count(pending, "idle"),
      count(running, "busy"),
      count(done, "ok"),
      count(failed, "fail"),
      count(cancelled + blocked, "warn"),
    ];
    return {
      cells: [
        task,
        ...numbers,
        ...shown.map((node) =>
          cell(
            scene,
            members.find((s) => s.node === node),
          ),
        ),
      ],
    };
  });
  return tableLines([...columns, { title: "" }], rows, scene.width);
}

/** Where steps of several nodes come together; it stands in their order. */
function barrierRow({ glyphs }: Scene, join: Step): Row {
  const { tone } = stepWord(join);
  return { cells: [{ text: `${glyphs.rule.repeat(2)} ${join.task} ${glyphs[tone]}`, tone: "dim" }] };
}

function cell(scene: Scene, step: Step | undefined) {
  if (!step) return "";
  const { tone } = stepWord(step);
  const progress = step.state === Step_State.RUNNING ? progressOf(scene.world, step) : undefined;
  const took = elapsed(step.startTime, step.endTime, scene.now);
  const share = progress && progressShare(progress);
  const text = share?.total ? `${percent(share.current, share.total)}%` : took;
  return { text: `${scene.glyphs[tone]} ${text}`.trimEnd(), tone };
}

/** One line per node: its running step with a bar, or what it waits for, or why it failed. */
function nodeLines(scene: Scene, deployment: Deployment, steps: Step[]): Line[] {
  const rows = [...Map.groupBy(steps, ({ node }) => node)].map(([node, chain]) =>
    nodeRow(scene, deployment, node, chain),
  );
  return tableLines([{ title: "" }, { title: "" }, { title: "" }, { title: "" }], rows, scene.width).body;
}

function nodeRow(scene: Scene, deployment: Deployment, node: string, chain: Step[]): Row {
  const find = (state: Step_State) => chain.find((step) => step.state === state);
  const step =
    find(Step_State.RUNNING) ??
    find(Step_State.UNKNOWN) ??
    find(Step_State.FAILED) ??
    find(Step_State.READY) ??
    find(Step_State.PENDING) ??
    find(Step_State.CANCELLED) ??
    find(Step_State.BLOCKED) ??
    chain.at(-1);
  if (!step) return { cells: [node] };
  const { tone, word } = stepWord(step, deployment);
  const { done, total, changed } = countSteps(chain);
  const mark = { text: `${scene.glyphs[tone]} ${node}`, tone };
  const target = { kind: "step" as const, name: step.name };
  if (done === total) {
    const what = changed ? `${changed} ${isCheck(deployment) ? "would change" : "changed"}` : "";
    return { cells: [mark, `${done}/${total}`, "done", what], target };
  }
  const progress = step.state === Step_State.RUNNING ? progressOf(scene.world, step) : undefined;
  const what = progress
    ? `${progressBar(scene, progress)} ${formatProgress({ ...progress, activity: "" }, itemNoun(deployment, step))}`
    : isHeld(step)
      ? "held: c lets it go"
      : [waited(scene, step) || word, step.reason].filter(Boolean).join(": ");
  return {
    cells: [mark, `${done}/${total}`, step.task, { text: what, tone: tone === "fail" ? tone : undefined }],
    target,
  };
}

function progressBar(scene: Scene, progress: Progress): string {
  const width = scene.width >= 110 ? 24 : 14;
  const { current, total } = progressShare(progress);
  return bar(current, total, width, scene.glyphs.full, scene.glyphs.empty);
}

function waited(scene: Scene, step: Step): string {
  if (step.state !== Step_State.RUNNING) return "";
  const retry = step.nextAttemptTime ? ", tried again soon" : "";
  return `running ${elapsed(step.startTime, undefined, scene.now) || formatAge(0)}${retry}`;
}
