// `muster plan`, `deploy` and `release`: nothing is destroyed before the operator has seen what.
import { type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { stringify } from "yaml";
import {
  type NodePlan,
  type Plan,
  type PlanClusterRequestSchema,
  PlanSchema,
  Purpose,
  Scope,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { EraseMode } from "../../proto/gen/muster/v1/erase_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";
import { fleetSvg } from "../../proto/render/disk-svg.ts";
import type { NodeDisks } from "../../proto/render/loss-table.ts";
import { change } from "../change.ts";
import type { Operator } from "../client.ts";
import { eraseWords, leftLine } from "../erase-text.ts";
import { exitCode, RefusedError } from "../errors.ts";
import { plural } from "../format.ts";
import type { Io } from "../io.ts";
import { jsonList, type OutputOptions, wantsJson } from "../output.ts";
import { leftOutLines, taskLines, termLines } from "../plan-tasks.ts";
import { isUnchanged, lossLines, planLines, sizeText, writtenNodes } from "../plan-text.ts";
import { isJoin } from "../words.ts";
import { agree } from "./agree.ts";
import { showCheck } from "./check.ts";
import { isPart, type SelectionOptions, selectionWords, wanted } from "./selection.ts";
import { followGraphs } from "./wait.ts";

type PlanOptions = OutputOptions & SelectionOptions & { pictures?: boolean; showCommands?: boolean };

export async function plan(
  operator: Operator,
  io: Io,
  cluster: string,
  options: PlanOptions,
): Promise<number> {
  const resolved = await getPlan(operator, await wanted(operator, cluster, options));
  // The commands are the agent's affair: bin/muster hands it this JSON, which the operator does not see.
  if (wantsJson(options) || options.showCommands)
    io.out(JSON.stringify(toJson(PlanSchema, resolved), null, 2));
  else if (options.output === "yaml") io.out(stringify(toJson(PlanSchema, resolved)).trimEnd());
  else if (options.output === "svg") io.out(fleetSvg(disksOf(resolved)).trimEnd());
  else {
    const { pictures } = options;
    for (const { text } of planLines(resolved, { width: io.columns, pictures })) io.out(text);
  }
  return exitCode.ok;
}

/** The disks of every node; none where they stay as they are. */
function disksOf(plan: Plan): NodeDisks[] {
  const written = writtenNodes(plan);
  return plan.nodes.map((node) => ({
    node: node.node,
    disks: written.includes(node) ? node.disks : undefined,
  }));
}

type StartOptions = { yes?: boolean; planHash?: string; wait: boolean; hold?: string[] };

type DeployOptions = StartOptions & SelectionOptions & OutputOptions;

export async function deploy(
  operator: Operator,
  io: Io,
  cluster: string,
  options: DeployOptions,
): Promise<number> {
  if (options.noop) return check(operator, io, cluster, options);
  if (wantsJson(options)) throw new RefusedError("JSON is what --noop can print; nothing was done");
  const request = await wanted(operator, cluster, options);
  const resolved = await getPlan(operator, request);
  // What was agreed to before and is no longer so must be said, also if nothing is left to do.
  refuseOther(resolved, options, `muster plan ${[cluster, selectionWords(options)].join(" ").trim()}`);
  if (isNothing(resolved)) {
    for (const line of nothingLines(resolved, options)) io.out(line);
    return exitCode.ok;
  }
  const graph = graphText(resolved);
  io.out(`Deploying ${graph}${resolved.cluster}: ${sizeText(resolved)}, plan ${resolved.hash}`);
  for (const { text } of [...leftOutLines(resolved), ...termLines(resolved)]) if (text) io.out(text);
  return start(operator, io, resolved, request, options);
}

function graphText({ graph }: Plan): string {
  return graph && graph !== "default" ? `graph ${graph} of ` : "";
}

/** It has steps, and none of them is done. */
function isNothing({ steps }: Plan): boolean {
  const work = steps.filter((step) => !isJoin(step));
  return work.length > 0 && work.every(isLeftOut);
}

function nothingLines(plan: Plan, options: SelectionOptions): string[] {
  const { cluster, steps } = plan;
  const work = steps.filter((step) => !isJoin(step));
  if (!isPart(options) && work.every(isUnchanged)) {
    return [
      `nothing has changed in cluster ${cluster}: all ${plural(work.length, "step")} were done before`,
      `do everything anew, with empty disks: muster deploy ${cluster} --all`,
    ];
  }
  const unchanged = work.filter(isUnchanged).length;
  return [
    `nothing is to be done of this in cluster ${cluster}: ${sizeText(plan)}`,
    ...(unchanged ? ["--all does also what has not changed"] : []),
    ...leftOutLines(plan).flatMap(({ text }) => text || []),
  ];
}

/** Asks nothing: whatever its plan is, it changes nothing. */
async function check(operator: Operator, io: Io, cluster: string, options: DeployOptions): Promise<number> {
  // Programs want nothing but JSON in the output; what happens on the way is for the operator's eyes.
  const aside = wantsJson(options) ? { ...io, out: io.err } : io;
  const request = await wanted(operator, cluster, options);
  const resolved = await getPlan(operator, request);
  refuseOther(resolved, options, `muster plan ${cluster} ${selectionWords(options)}`);
  if (isNothing(resolved)) {
    for (const line of nothingLines(resolved, options)) aside.out(line);
    if (wantsJson(options)) io.out(jsonList([]));
    return exitCode.ok;
  }
  aside.out(`Checking ${graphText(resolved)}${cluster}, changing nothing: ${sizeText(resolved)}`);
  for (const { text } of leftOutLines(resolved)) if (text) aside.out(text);
  const name = await begin(operator, resolved, request, options);
  aside.out(`deployment/${name} started`);
  if (!options.wait) return exitCode.ok;
  const names: string[] = [];
  const code = await followGraphs(operator, aside, name, names);
  if (code !== exitCode.interrupted) await showCheck(operator, io, names, options);
  return code;
}

export type EraseName = "metadata" | "full";
const eraseModes: Record<EraseName, EraseMode> = { metadata: EraseMode.METADATA, full: EraseMode.FULL };

export async function release(
  operator: Operator,
  io: Io,
  cluster: string,
  nodes: string[],
  options: StartOptions & { erase?: EraseName; skip?: string[] },
): Promise<number> {
  const { erase, skip = [] } = options;
  const request = {
    cluster,
    scope: Scope.UNSPECIFIED,
    purpose: Purpose.RELEASE,
    nodes,
    erase: erase ? eraseModes[erase] : EraseMode.UNSPECIFIED,
    skip,
  };
  const resolved = await getPlan(operator, request);
  const words = [
    cluster,
    ...nodes,
    ...(erase ? ["--erase", erase] : []),
    ...skip.map((id) => `--skip ${id}`),
  ];
  refuseOther(resolved, options, `muster release ${words.join(" ")}`);
  const names = resolved.nodes.map(({ node }) => node).join(", ");
  io.out(`Releasing ${names} from cluster ${resolved.cluster}, plan ${resolved.hash}`);
  for (const { text } of taskLines(resolved)) if (text) io.out(text);
  for (const line of erasingLines(resolved.nodes)) io.out(line);
  return start(operator, io, resolved, request, options);
}

/** How thoroughly, and what is not touched; what is lost is said of every kind of plan. */
function erasingLines(nodes: NodePlan[]): string[] {
  const modes = [...new Set(nodes.map(({ erase }) => eraseWords(erase)))];
  const left = nodes.flatMap((node) => node.left.map((disk) => `  ${node.node}: ${leftLine(disk)}`));
  return [
    ...modes.map((words) => `Erase ${words}`),
    ...(left.length ? ["These disks are left as they are:", ...left] : []),
  ];
}

/** What is asked of the daemon, for the plan and for the start of what was planned. */
type PlanRequest = Omit<MessageInitShape<typeof PlanClusterRequestSchema>, "$typeName" | "$unknown">;

async function start(
  operator: Operator,
  io: Io,
  plan: Plan,
  request: PlanRequest,
  options: StartOptions,
): Promise<number> {
  const losses = lossLines(plan);
  io.out(losses.length ? "These disks are wiped:" : "No disk is wiped.");
  for (const line of losses) io.out(`  ${line}`);
  if (!options.yes) await agree(io, "the cluster's name", plan.cluster);
  const name = await begin(operator, plan, request, options);
  io.out(`deployment/${name} started`);
  return options.wait ? followGraphs(operator, io, name) : exitCode.ok;
}

/** The name of the deployment that has begun. */
async function begin(
  { deployments }: Operator,
  { cluster, hash: planHash }: Plan,
  request: PlanRequest,
  { hold: holds = [] }: StartOptions,
): Promise<string> {
  const { deployment } = await change((requestId) =>
    deployments.startDeployment({ ...request, planHash, holds, requestId }),
  );
  return deployment?.name ?? cluster;
}

async function getPlan({ deployments }: Operator, request: PlanRequest): Promise<Plan> {
  const { plan } = await deployments.planCluster(request);
  if (!plan) throw new Error(`the daemon sent no plan for ${request.cluster}`);
  return plan;
}

function refuseOther({ cluster, hash }: Plan, { planHash }: StartOptions, see: string): void {
  if (!planHash || planHash === hash) return;
  throw new RefusedError(`the plan for ${cluster} is now ${hash}, not ${planHash}; see what changed: ${see}`);
}
