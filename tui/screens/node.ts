// One node: where it stands, its chain of steps, its installed system, its hardware and disks.
import type { Deployment, Step } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { actionText } from "../action-text.ts";
import { elapsed, formatAge, formatProgress, timeMs } from "../format.ts";
import { itemNoun } from "../item-noun.ts";
import { deploymentOfNode, progressOf, stepsOfNode } from "../model.ts";
import { diskLines, hardwareLines } from "../verbs/describe.ts";
import { environmentWord, flagText, isHeld, nodeState, powerWord, stepWord } from "../words.ts";
import {
  blank,
  type Line,
  line,
  type Row,
  rule,
  type Scene,
  type Screen,
  tableLines,
  toned,
  wrap,
} from "./lines.ts";

export function nodeScreen(scene: Scene, name: string): Screen {
  const node = scene.world.nodes.get(name);
  const title = `Nodes › ${name}`;
  if (!node) return { title, head: [], body: [line(`node ${name} is not known`, "dim")] };
  const steps = stepsOfNode(scene.world, node);
  const body = [...stateLines(scene, node)];
  if (steps.length)
    body.push(
      rule(scene, "Steps"),
      ...stepLines(scene, deploymentOfNode(scene.world, node), steps),
      ...hintLines(scene, node, steps),
    );
  body.push(...installedLines(scene, node), ...inventoryLines(scene, node));
  return { title, head: [], body };
}

function stateLines(scene: Scene, node: Node): Line[] {
  const { word, tone } = nodeState(node.state);
  const seen = timeMs(node.lastSeenTime);
  const silent = seen === undefined ? "never seen" : `silent for ${formatAge(scene.now - seen)}`;
  const agent = node.online ? `agent online, ${environmentWord(node.environment)}` : `agent ${silent}`;
  const facts = [
    node.cluster && `${node.cluster}, ${node.role}`,
    node.address,
    `power ${powerWord(node.power)}`,
    agent,
  ];
  const lines: Line[] = [
    {
      segments: [
        { ...toned(scene.glyphs, word, tone), bold: true },
        { text: `   ${facts.filter(Boolean).join("   ")}` },
      ],
      target: { kind: "node", name: node.name },
    },
  ];
  if (node.reason) lines.push(line(`why: ${node.reason}`, tone));
  const flags = flagText(node);
  if (flags) lines.push(line(`set: ${flags}`, "accent"));
  for (const { message } of node.faults) lines.push(line(`fault: ${message}`, "warn"));
  if (node.approvalCode) lines.push(line(`a approves it if its console shows ${node.approvalCode}`, "warn"));
  return [...lines, blank];
}

function stepLines(scene: Scene, deployment: Deployment | undefined, steps: Step[]): Line[] {
  const rows = steps.map((step): Row => {
    const { word, tone } = stepWord(step, deployment);
    const progress = step.state === Step_State.RUNNING && progressOf(scene.world, step);
    const attempt = step.attempt > 1 ? `attempt ${step.attempt}` : "";
    const note = isHeld(step) ? "held: c lets it go" : step.reason || step.result;
    const what = progress ? formatProgress(progress, itemNoun(deployment, step)) : note;
    const took = elapsed(step.startTime, step.endTime, scene.now);
    return {
      cells: [step.task, toned(scene.glyphs, word, tone), took, attempt, what],
      target: { kind: "step", name: step.name },
    };
  });
  return tableLines(
    [
      { title: "TASK" },
      { title: "STATE" },
      { title: "TIME", right: true },
      { title: "", drop: 1 },
      { title: "" },
    ],
    rows,
    scene.width,
  ).body;
}

/** The whole reason of the first failed step, wrapped, what it does, and the keys that help. */
function hintLines(scene: Scene, node: Node, steps: Step[]): Line[] {
  const failed = steps.find(({ state }) => state === Step_State.FAILED);
  if (!failed) return [blank];
  const planned = deploymentOfNode(scene.world, node)?.plan?.steps ?? [];
  const action = planned.find(({ id }) => id === `${failed.node}/${failed.task}`)?.action;
  const command = actionText(action);
  const text = `${failed.task} on ${node.name}: ${failed.reason || "failed"}`;
  const wrapped = wrap(text, scene.width - 4).map((part) => line(part, "fail"));
  if (command) wrapped.push(line(command));
  return [...wrapped, line("l shows its log, r tries the failed steps again", "dim"), blank];
}

function installedLines(scene: Scene, { installed }: Node): Line[] {
  if (!installed) return [];
  return [
    rule(scene, "Installed system"),
    line(`${installed.hostname}   root ${installed.rootDevice}   ${installed.arrays.join("; ")}`),
    line(`image sha256 ${installed.imageDigest}`),
    blank,
  ];
}

function inventoryLines(scene: Scene, { inventory }: Node): Line[] {
  if (!inventory) return [rule(scene, "Hardware"), line("its agent has not reported yet", "dim")];
  const { disks, ...rest } = inventory;
  return [
    rule(scene, "Disks"),
    ...disks.flatMap(diskLines).map((text) => line(text)),
    blank,
    rule(scene, "Hardware"),
    ...hardwareLines({ ...rest, disks: [] }).map((text) => line(text)),
  ];
}
