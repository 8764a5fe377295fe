// The table of nodes.
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { elapsed, formatAge, percent, progressShare, timeMs } from "../format.ts";
import { currentStep, progressOf } from "../model.ts";
import { faultText, flagText, nodeState, stepState } from "../words.ts";
import { line, type Row, type Scene, type Screen, tableLines, toned } from "./lines.ts";

export function nodesScreen(scene: Scene): Screen {
  const rows = [...scene.world.nodes.values()].map((node) => nodeRow(scene, node));
  const columns = [
    { title: "NAME" },
    { title: "STATE" },
    { title: "CLUSTER", drop: 2 },
    { title: "ROLE", drop: 3 },
    { title: "ADDRESS", drop: 1 },
    { title: "AGENT" },
    { title: "STEP / REASON" },
  ];
  const { head, body } = tableLines(columns, rows, scene.width);
  const empty = [line("no node has been declared or seen; switch one on in the boot network", "dim")];
  return { title: "Nodes", head: [head], body: body.length ? body : empty };
}

function nodeRow(scene: Scene, node: Node): Row {
  const { word, tone } = nodeState(node.state);
  const seen = timeMs(node.lastSeenTime);
  const agent = node.online ? "online" : seen === undefined ? "never" : `${formatAge(scene.now - seen)} ago`;
  return {
    cells: [
      node.name,
      toned(scene.glyphs, word, tone),
      node.cluster,
      node.role,
      node.address,
      agent,
      doing(scene, node),
    ],
    target: { kind: "node", name: node.name },
  };
}

function doing(scene: Scene, node: Node): string {
  if (node.approvalCode) return `code ${node.approvalCode}`;
  const why = [flagText(node), node.reason || faultText(node)].filter(Boolean).join("; ");
  if (why) return why;
  const step = currentStep(scene.world, node);
  if (!step) return "";
  const progress = progressOf(scene.world, step);
  const { current, total } = progress ? progressShare(progress) : { current: 0, total: 0 };
  const share = total ? ` ${percent(current, total)}%` : "";
  return `${step.task} ${stepState(step.state).word}${share} ${elapsed(step.startTime, undefined, scene.now)}`;
}
