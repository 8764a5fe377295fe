// `muster plan`, `deploy`, `retry`, `stop` and `wait`: nothing is destroyed before the operator has seen what.
import { toJson } from "@bufbuild/protobuf";
import { Deployment_State, type Plan, PlanSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode, RefusedError } from "../errors.ts";
import { Follower } from "../follow.ts";
import { plural } from "../format.ts";
import type { Io } from "../io.ts";
import { lossLines, planLines } from "../plan-text.ts";
import { sleep, watchFeed } from "../watch.ts";
import { deploymentState } from "../words.ts";

export async function plan(
  operator: Operator,
  io: Io,
  cluster: string,
  options: { output?: string },
): Promise<number> {
  const resolved = await getPlan(operator, cluster);
  if (options.output === "json") io.out(JSON.stringify(toJson(PlanSchema, resolved), null, 2));
  else for (const { text } of planLines(resolved)) io.out(text);
  return exitCode.ok;
}

export type DeployOptions = { yes?: boolean; planHash?: string; wait: boolean };

export async function deploy(
  operator: Operator,
  io: Io,
  cluster: string,
  options: DeployOptions,
): Promise<number> {
  const resolved = await getPlan(operator, cluster);
  if (options.planHash && options.planHash !== resolved.hash) {
    throw new RefusedError(
      `the plan for ${cluster} is now ${resolved.hash}, not ${options.planHash}; see what changed: muster plan ${cluster}`,
    );
  }
  for (const line of summary(resolved)) io.out(line);
  if (!options.yes) await agree(io, cluster);
  const { deployment } = await operator.deployments.startDeployment({ cluster, planHash: resolved.hash });
  const name = deployment?.name ?? cluster;
  io.out(`deployment/${name} started`);
  return options.wait ? follow(operator, io, name) : exitCode.ok;
}

async function getPlan({ deployments }: Operator, cluster: string): Promise<Plan> {
  const { plan } = await deployments.planCluster({ cluster });
  if (!plan) throw new Error(`the daemon sent no plan for ${cluster}`);
  return plan;
}

function summary(resolved: Plan): string[] {
  const size = `${plural(resolved.nodes.length, "node")}, ${plural(resolved.steps.length, "step")}`;
  const losses = lossLines(resolved).map((line) => `  ${line}`);
  return [
    `Deploying ${resolved.cluster}: ${size}, plan ${resolved.hash}`,
    "These disks are wiped:",
    ...losses,
  ];
}

async function agree(io: Io, cluster: string): Promise<void> {
  if (!io.interactive) throw new RefusedError("nobody can be asked here; --yes agrees to the plan");
  const answer = await io.ask(`Type the cluster's name (${cluster}) to go on: `);
  if (!answer.trim()) throw new RefusedError("no name was typed; nothing was done");
  if (answer.trim() !== cluster) throw new RefusedError("that is not the cluster's name; nothing was done");
}

export async function retry(
  operator: Operator,
  io: Io,
  name: string,
  options: { wait?: boolean },
): Promise<number> {
  const { deployment, steps } = await operator.deployments.retryDeployment({ name });
  const started = deployment?.name ?? name;
  io.out(`deployment/${started} goes on: ${plural(steps, "step")} will be tried again`);
  return options.wait ? follow(operator, io, started) : exitCode.ok;
}

export async function stop(operator: Operator, io: Io, name: string): Promise<number> {
  const { deployment } = await operator.deployments.stopDeployment({ name });
  const word = deployment ? deploymentState(deployment.state).word : "stopping";
  const note =
    deployment?.state === Deployment_State.STOPPING ? "; running steps finish, no other starts" : "";
  io.out(`deployment/${deployment?.name ?? name} ${word}${note}`);
  return exitCode.ok;
}

export async function wait(operator: Operator, io: Io, name: string): Promise<number> {
  const { deployment } = await operator.deployments.getDeployment({ name });
  return follow(operator, io, deployment?.name ?? name);
}

/** Prints what happens until the deployment has ended, and says by the exit code how. */
export async function follow(operator: Operator, io: Io, name: string): Promise<number> {
  const follower = new Follower(name, io.now);
  for await (const item of watchFeed(operator.watch, { signal: io.signal, sleep })) {
    for (const line of follower.take(item)) io.out(line);
    const { ended } = follower;
    if (ended) {
      for (const line of follower.summary(ended)) io.out(line);
      return ended.state === Deployment_State.SUCCEEDED ? exitCode.ok : exitCode.failed;
    }
    if (follower.missing) throw new RefusedError(`deployment ${name} is not known to the daemon`);
  }
  io.err(`no longer watching; the deployment goes on. Watch it again: muster wait ${name}`);
  return exitCode.interrupted;
}
