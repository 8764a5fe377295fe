// `muster plan`, `deploy` and `release`: nothing is destroyed before the operator has seen what.
import { toJson } from "@bufbuild/protobuf";
import { type Plan, PlanSchema, Purpose, Scope } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { change } from "../change.ts";
import type { Operator } from "../client.ts";
import { exitCode, RefusedError } from "../errors.ts";
import { plural } from "../format.ts";
import type { Io } from "../io.ts";
import { type OutputOptions, wantsJson } from "../output.ts";
import { isUnchanged, lossLines, planLines } from "../plan-text.ts";
import { agree } from "./agree.ts";
import { follow } from "./wait.ts";

type Wanted = { cluster: string; scope: Scope; purpose: Purpose; nodes: string[] };

const deploying = (cluster: string, all = false): Wanted => ({
  cluster,
  scope: all ? Scope.ALL : Scope.CHANGED,
  purpose: Purpose.DEPLOY,
  nodes: [],
});

export async function plan(
  operator: Operator,
  io: Io,
  cluster: string,
  options: OutputOptions & { all?: boolean },
): Promise<number> {
  const resolved = await getPlan(operator, deploying(cluster, options.all));
  if (wantsJson(options)) io.out(JSON.stringify(toJson(PlanSchema, resolved), null, 2));
  else for (const { text } of planLines(resolved)) io.out(text);
  return exitCode.ok;
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

export async function release(
  operator: Operator,
  io: Io,
  cluster: string,
  nodes: string[],
  options: StartOptions,
): Promise<number> {
  const wanted = { cluster, scope: Scope.UNSPECIFIED, purpose: Purpose.RELEASE, nodes };
  const resolved = await getPlan(operator, wanted);
  refuseOther(resolved, options, `muster release ${[cluster, ...nodes].join(" ")}`);
  const names = resolved.nodes.map(({ node }) => node).join(", ");
  io.out(`Releasing ${names} from cluster ${resolved.cluster}, plan ${resolved.hash}`);
  return start(operator, io, resolved, wanted, options);
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
