// `muster graph show` and `muster graph order`: what a plan is made of. Change nothing.
import type { Plan } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode } from "../errors.ts";
import { graphDot, graphMermaid } from "../graph/graph-marks.ts";
import { graphSvg } from "../graph/graph-svg.ts";
import { graphLines } from "../graph/graph-text.ts";
import { orderOf } from "../graph/order.ts";
import { orderLines } from "../graph/order-text.ts";
import { taskGraph } from "../graph/task-graph.ts";
import type { Io } from "../io.ts";
import { type OutputOptions, wantsJson } from "../output.ts";
import { allPages } from "../pages.ts";
import { type SelectionOptions, wanted } from "./selection.ts";

type ShowOptions = OutputOptions & SelectionOptions & { dot?: boolean; mermaid?: boolean; svg?: boolean };
type OrderOptions = OutputOptions & SelectionOptions;

/** Of the past of a cluster, at most so many attempts are looked at. */
const attemptLimit = 100_000;

export async function graphShow(
  operator: Operator,
  io: Io,
  cluster: string,
  options: ShowOptions,
): Promise<number> {
  const graph = taskGraph(await planOf(operator, cluster, options));
  if (wantsJson(options)) io.out(JSON.stringify(graph, null, 2));
  else if (options.dot) io.out(graphDot(graph).join("\n"));
  else if (options.mermaid) io.out(graphMermaid(graph).join("\n"));
  else if (options.svg) io.out(graphSvg(graph).trimEnd());
  else for (const line of graphLines(graph)) io.out(line);
  return exitCode.ok;
}

export async function graphOrder(
  operator: Operator,
  io: Io,
  cluster: string,
  options: OrderOptions,
): Promise<number> {
  const plan = await planOf(operator, cluster, options);
  const order = orderOf(plan, await pastOf(operator, cluster));
  if (wantsJson(options)) {
    const waves = order.waves.map((members) => members.map(({ id }) => id));
    io.out(JSON.stringify({ ...order, waves }, null, 2));
  } else for (const line of orderLines(plan, order)) io.out(line);
  return exitCode.ok;
}

async function planOf(operator: Operator, cluster: string, options: SelectionOptions): Promise<Plan> {
  const { plan } = await operator.deployments.planCluster(await wanted(operator, cluster, options));
  if (!plan) throw new Error(`the daemon sent no plan for ${cluster}`);
  return plan;
}

/** What was done in the deployments of a cluster, newest first. */
async function pastOf({ deployments }: Operator, cluster: string) {
  return allPages(
    (request) => deployments.listAttempts(request),
    (page) => page.attempts,
    { filter: `deployment = ${JSON.stringify(`${cluster}-*`)}`, limit: attemptLimit },
  );
}
