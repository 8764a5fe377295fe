// `muster plan`, `deploy` and `release`: nothing is destroyed before the operator has seen what.
import { toJson } from "@bufbuild/protobuf";
import { stringify } from "yaml";
import {
  type NodePlan,
  type Plan,
  PlanSchema,
  Purpose,
  Scope,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { EraseMode } from "../../proto/gen/muster/v1/erase_pb.ts";
import { fleetSvg } from "../../proto/render/disk-svg.ts";
import type { NodeDisks } from "../../proto/render/loss-table.ts";
import { change } from "../change.ts";
import type { Operator } from "../client.ts";
import { eraseWords, leftLine } from "../erase-text.ts";
import { exitCode, RefusedError } from "../errors.ts";
import { plural } from "../format.ts";
import type { Io } from "../io.ts";
import { type OutputOptions, wantsJson } from "../output.ts";
import { isUnchanged, lossLines, planLines, writtenNodes } from "../plan-text.ts";
import { agree } from "./agree.ts";
import { follow } from "./wait.ts";

type Wanted = {
  cluster: string;
  scope: Scope;
  purpose: Purpose;
  nodes: string[];
  erase?: EraseMode;
  skip?: string[];
};

const deploying = (cluster: string, all = false): Wanted => ({
  cluster,
  scope: all ? Scope.ALL : Scope.CHANGED,
  purpose: Purpose.DEPLOY,
  nodes: [],
});

type PlanOptions = OutputOptions & { all?: boolean; pictures?: boolean; showCommands?: boolean };

export async function plan(
  operator: Operator,
  io: Io,
  cluster: string,
  options: PlanOptions,
): Promise<number> {
  const resolved = await getPlan(operator, deploying(cluster, options.all));
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

export async function deploy(
  operator: Operator,
  io: Io,
  cluster: string,
  options: StartOptions & { all?: boolean },
): Promise<number> {
  const wanted = deploying(cluster, options.all);
  const resolved = await getPlan(operator, wanted);
  // What was agreed to before and is no longer so must be said, also if nothing is left to do.
  refuseOther(resolved, options, `muster plan ${cluster}${options.all ? " --all" : ""}`);
  const unchanged = resolved.steps.filter(isUnchanged).length;
  if (resolved.steps.length && unchanged === resolved.steps.length) {
    io.out(`nothing has changed in cluster ${cluster}: all ${plural(unchanged, "step")} were done before`);
    io.out(`do everything anew, with empty disks: muster deploy ${cluster} --all`);
    return exitCode.ok;
  }
  const left = unchanged ? `, ${unchanged} of them unchanged and left out` : "";
  const size = `${plural(resolved.nodes.length, "node")}, ${plural(resolved.steps.length, "step")}${left}`;
  io.out(`Deploying ${resolved.cluster}: ${size}, plan ${resolved.hash}`);
  return start(operator, io, resolved, wanted, options);
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
  const wanted = {
    cluster,
    scope: Scope.UNSPECIFIED,
    purpose: Purpose.RELEASE,
    nodes,
    erase: erase ? eraseModes[erase] : EraseMode.UNSPECIFIED,
    skip,
  };
  const resolved = await getPlan(operator, wanted);
  const words = [
    cluster,
    ...nodes,
    ...(erase ? ["--erase", erase] : []),
    ...skip.map((id) => `--skip ${id}`),
  ];
  refuseOther(resolved, options, `muster release ${words.join(" ")}`);
  const names = resolved.nodes.map(({ node }) => node).join(", ");
  io.out(`Releasing ${names} from cluster ${resolved.cluster}, plan ${resolved.hash}`);
  for (const line of erasingLines(resolved.nodes)) io.out(line);
  return start(operator, io, resolved, wanted, options);
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

async function start(
  operator: Operator,
  io: Io,
  { cluster, hash: planHash, ...resolved }: Plan,
  wanted: Wanted,
  options: StartOptions,
): Promise<number> {
  const losses = lossLines({ ...resolved, cluster, hash: planHash });
  io.out(losses.length ? "These disks are wiped:" : "No disk is wiped.");
  for (const line of losses) io.out(`  ${line}`);
  if (!options.yes) await agree(io, "the cluster's name", cluster);
  const { deployment } = await change((requestId) =>
    operator.deployments.startDeployment({ ...wanted, planHash, holds: options.hold ?? [], requestId }),
  );
  const name = deployment?.name ?? cluster;
  io.out(`deployment/${name} started`);
  return options.wait ? follow(operator, io, name) : exitCode.ok;
}

async function getPlan({ deployments }: Operator, wanted: Wanted): Promise<Plan> {
  const { plan } = await deployments.planCluster(wanted);
  if (!plan) throw new Error(`the daemon sent no plan for ${wanted.cluster}`);
  return plan;
}

function refuseOther({ cluster, hash }: Plan, { planHash }: StartOptions, see: string): void {
  if (!planHash || planHash === hash) return;
  throw new RefusedError(`the plan for ${cluster} is now ${hash}, not ${planHash}; see what changed: ${see}`);
}
