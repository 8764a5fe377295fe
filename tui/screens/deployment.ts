// One deployment, live: tasks × nodes with counts, then every node with what it does in bytes, rate and ETA.
import { type Deployment, Purpose, type Step, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { bar, elapsed, formatAge, formatProgress, percent } from "../format.ts";
import { progressOf, stepsOf } from "../model.ts";
import { waves } from "../plan-text.ts";
import { countSteps, deploymentState, isHeld, stepState, type Tone } from "../words.ts";
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
  const { head, body } = matrix(scene, deployment, steps);
  return {
    title,
    head: summary(scene, deployment, steps),
    body: [head, ...body, rule(scene, "Nodes"), ...nodeLines(scene, steps)],
  };
}

function summary(scene: Scene, deployment: Deployment, steps: Step[]): Line[] {
  const { word, tone } = deploymentState(deployment.state);
  const { done, total, failed, cancelled, blocked, held } = countSteps(steps);
  const took = elapsed(deployment.startTime, deployment.endTime, scene.now);
  const facts = [
    deployment.plan?.purpose === Purpose.RELEASE && "release",
    `${done}/${total} steps`,
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
  const planned = waves(deployment.plan?.steps ?? []).flat();
  const tasks = new Set([...planned.map(({ task }) => task), ...byTask.keys()]);
  const nodes = [...new Set(steps.map(({ node }) => node))];
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

function cell(scene: Scene, step: Step | undefined) {
  if (!step) return "";
  const { tone } = stepState(step.state);
  const progress = step.state === Step_State.RUNNING ? progressOf(scene.world, step) : undefined;
  const took = elapsed(step.startTime, step.endTime, scene.now);
  const text = progress?.totalBytes ? `${percent(progress.currentBytes, progress.totalBytes)}%` : took;
  return { text: `${scene.glyphs[tone]} ${text}`.trimEnd(), tone };
}

/** One line per node: its running step with a bar, or what it waits for, or why it failed. */
function nodeLines(scene: Scene, steps: Step[]): Line[] {
  const rows = [...Map.groupBy(steps, ({ node }) => node)].map(([node, chain]) =>
    nodeRow(scene, node, chain),
  );
  return tableLines([{ title: "" }, { title: "" }, { title: "" }, { title: "" }], rows, scene.width).body;
}

function nodeRow(scene: Scene, node: string, chain: Step[]): Row {
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
  const { tone, word } = stepState(step.state);
  const { done, total } = countSteps(chain);
  const mark = { text: `${scene.glyphs[tone]} ${node}`, tone };
  const target = { kind: "step" as const, name: step.name };
  if (done === total) return { cells: [mark, `${done}/${total}`, "done", ""], target };
  const progress = step.state === Step_State.RUNNING ? progressOf(scene.world, step) : undefined;
  const what = progress
    ? `${progressBar(scene, progress)} ${formatProgress({ ...progress, activity: "" })}`
    : isHeld(step)
      ? "held: c lets it go"
      : [waited(scene, step) || word, step.reason].filter(Boolean).join(": ");
  return {
    cells: [mark, `${done}/${total}`, step.task, { text: what, tone: tone === "fail" ? tone : undefined }],
    target,
  };
}

function progressBar(
  scene: Scene,
  { currentBytes, totalBytes }: { currentBytes: bigint; totalBytes: bigint },
): string {
  const width = scene.width >= 110 ? 24 : 14;
  return bar(currentBytes, totalBytes, width, scene.glyphs.full, scene.glyphs.empty);
}

function waited(scene: Scene, step: Step): string {
  if (step.state !== Step_State.RUNNING) return "";
  const retry = step.nextAttemptTime ? ", tried again soon" : "";
  return `running ${elapsed(step.startTime, undefined, scene.now) || formatAge(0)}${retry}`;
}
