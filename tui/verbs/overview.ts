// `muster` off a terminal: the overview screen's facts as lines.
import { type Deployment, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode } from "../errors.ts";
import { clean, elapsed, formatProgress } from "../format.ts";
import type { Io } from "../io.ts";
import { itemNoun } from "../item-noun.ts";
import { stepsTaken } from "../model.ts";
import { allPages } from "../pages.ts";
import { indent } from "../text-table.ts";
import { countSteps, countText, deploymentState, hasEnded, needsYou } from "../words.ts";
import { clusterTable, nodeTable } from "./get.ts";

export async function overview(operator: Operator, io: Io): Promise<number> {
  const [clusters, nodes, deployments] = await Promise.all([
    allPages(
      (request) => operator.clusters.listClusters(request),
      (page) => page.clusters,
    ),
    allPages(
      (request) => operator.nodes.listNodes(request),
      (page) => page.nodes,
    ),
    allPages(
      (request) => operator.deployments.listDeployments(request),
      (page) => page.deployments,
    ),
  ]);
  const running = deployments.filter(({ state }) => !hasEnded(state));
  const sections: [string, string[]][] = [
    ["Clusters", clusters.length ? clusterTable(clusters, deployments) : ["none; muster apply -f DIRECTORY"]],
    ["Nodes", nodes.length ? nodeTable(nodes, io.now()) : ["none has been declared or seen"]],
  ];
  for (const deployment of running) {
    sections.push([`Deployment ${deployment.name}`, await runLines(operator, deployment, io.now())]);
  }
  const needs = nodes.flatMap((node) => {
    const why = needsYou(node);
    return why ? [`${node.name}  ${clean(why)}`] : [];
  });
  if (needs.length) sections.push(["Needs you", needs]);
  for (const [title, lines] of sections) for (const line of [title, ...indent(lines)]) io.out(line);
  return exitCode.ok;
}

async function runLines(operator: Operator, deployment: Deployment, now: number): Promise<string[]> {
  const { deployment: planned = deployment, steps: all } = await operator.deployments.getDeployment({
    name: deployment.name,
  });
  const steps = stepsTaken(planned, all);
  const took = elapsed(deployment.startTime, deployment.endTime, now);
  const reason = deployment.reason ? `: ${clean(deployment.reason)}` : "";
  const head = `${deploymentState(deployment.state).word} ${took}, ${countText(countSteps(steps), planned)}`;
  const active = steps
    .filter(({ state }) => state === Step_State.RUNNING || state === Step_State.UNKNOWN)
    .map((step) =>
      `${step.node} ${step.task} ${step.progress ? formatProgress(step.progress, itemNoun(planned, step)) : ""}`.trimEnd(),
    );
  return [`${head}${reason}`, ...active];
}
