// The first screen: clusters and how far they are, what needs the operator, what happened last.
import { Deployment_State, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { bar, elapsed, plural } from "../format.ts";
import { deploymentOf, stepsOf, type World } from "../model.ts";
import { countSteps, deploymentState, needsYou, nodeState } from "../words.ts";
import { eventRows } from "./events.ts";
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
} from "./lines.ts";

const eventsShown = 8;

export function overviewScreen(scene: Scene): Screen {
  const body = [
    rule(scene, "Clusters"),
    ...clusterLines(scene),
    blank,
    rule(scene, "Needs you"),
    ...needLines(scene),
    blank,
    rule(scene, "Activity"),
    ...activityLines(scene),
  ];
  return { title: "Overview", head: [], body };
}

function clusterLines(scene: Scene): Line[] {
  const { world, glyphs } = scene;
  const rows = [...world.clusters.values()].map((cluster): Row => {
    const members = cluster.spec?.nodes ?? [];
    const target = { kind: "cluster" as const, name: cluster.name };
    const deployment = deploymentOf(world, cluster);
    const size = plural(members.length, "node");
    if (!deployment) {
      return {
        cells: [cluster.name, toned(glyphs, "never deployed", "idle"), size, "", "", "D deploys it"],
        target,
      };
    }
    const { word, tone } = deploymentState(deployment.state);
    const { done, total } = countSteps(stepsOf(world, deployment));
    const took = elapsed(deployment.startTime, deployment.endTime, scene.now);
    const share = bar(done, total, 12, glyphs.full, glyphs.empty);
    return {
      cells: [
        cluster.name,
        toned(glyphs, word, tone),
        size,
        `${share} ${done}/${total}`,
        took,
        deployment.reason,
      ],
      target,
    };
  });
  if (!rows.length) return [line("no cluster yet: muster apply -f DIRECTORY", "dim")];
  const columns = ["CLUSTER", "STATE", "NODES", "STEPS", "TIME", "REASON"].map((title) => ({ title }));
  return tableLines(columns, rows, scene.width).body;
}

/** Nodes that wait, fell silent or are at fault, and failed steps of the newest deployments. */
function needLines(scene: Scene): Line[] {
  const { world, glyphs } = scene;
  const rows: Row[] = [];
  for (const step of failedSteps(world)) {
    const why = step.reason || "failed";
    rows.push({
      cells: [{ text: `${glyphs.fail} ${step.node}`, tone: "fail" }, step.task, why],
      target: { kind: "step", name: step.name },
    });
  }
  for (const node of world.nodes.values()) {
    const why = needsYou(node);
    if (!why) continue;
    const { tone } = nodeState(node.state);
    const mark = tone === "fail" ? tone : "warn";
    rows.push({
      cells: [{ text: `${glyphs[mark]} ${node.name}`, tone: mark }, "", why],
      target: { kind: "node", name: node.name },
    });
  }
  if (!rows.length) return [line("nothing", "dim")];
  return tableLines([{ title: "NODE" }, { title: "TASK" }, { title: "WHY" }], rows, scene.width).body;
}

function failedSteps(world: World) {
  return [...world.clusters.values()].flatMap((cluster) => {
    const deployment = deploymentOf(world, cluster);
    if (!deployment || deployment.state === Deployment_State.SUCCEEDED) return [];
    return stepsOf(world, deployment).filter(({ state }) => state === Step_State.FAILED);
  });
}

function activityLines(scene: Scene): Line[] {
  const rows = eventRows(scene).slice(0, eventsShown);
  if (!rows.length) return [line("nothing has happened yet", "dim")];
  return tableLines([{ title: "" }, { title: "" }, { title: "" }], rows, scene.width).body;
}
