// `muster retry`, `resume`, `stop`, `hold` and `go`: verbs on a deployment that has begun.
import { Deployment_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { change } from "../change.ts";
import type { Operator } from "../client.ts";
import { exitCode } from "../errors.ts";
import { plural } from "../format.ts";
import type { Io } from "../io.ts";
import { deploymentState } from "../words.ts";
import { follow } from "./wait.ts";

type WaitOptions = { wait?: boolean };

export async function retry(operator: Operator, io: Io, name: string, options: WaitOptions): Promise<number> {
  const { deployment, steps } = await change((requestId) =>
    operator.deployments.retryDeployment({ name, requestId }),
  );
  const started = deployment?.name ?? name;
  io.out(`deployment/${started} goes on: ${plural(steps, "step")} will be tried again`);
  return options.wait ? follow(operator, io, started) : exitCode.ok;
}

export async function resume(
  operator: Operator,
  io: Io,
  name: string,
  options: WaitOptions,
): Promise<number> {
  const { deployment } = await change((requestId) =>
    operator.deployments.resumeDeployment({ name, requestId }),
  );
  const resumed = deployment?.name ?? name;
  io.out(`deployment/${resumed} goes on; failed steps stay failed`);
  return options.wait ? follow(operator, io, resumed) : exitCode.ok;
}

export async function stop(
  { deployments }: Operator,
  io: Io,
  name: string,
  options: { force?: boolean },
): Promise<number> {
  const { force = false } = options;
  const { deployment } = await change((requestId) => deployments.stopDeployment({ name, force, requestId }));
  const word = deployment ? deploymentState(deployment.state).word : "stopping";
  const running = force ? "running steps are cancelled" : "running steps finish";
  const note = deployment?.state === Deployment_State.STOPPING ? `; ${running}, no other starts` : "";
  io.out(`deployment/${deployment?.name ?? name} ${word}${note}`);
  return exitCode.ok;
}

export async function hold(
  { deployments }: Operator,
  io: Io,
  name: string,
  steps: string[],
): Promise<number> {
  const { steps: held } = await change((requestId) => deployments.holdSteps({ name, steps, requestId }));
  for (const step of held) io.out(`${step} is held; muster go ${name} ${step} lets it start`);
  if (!held.length) io.out("nothing has changed: they were held before");
  return exitCode.ok;
}

export async function go({ deployments }: Operator, io: Io, name: string, steps: string[]): Promise<number> {
  const { steps: free } = await change((requestId) => deployments.continueSteps({ name, steps, requestId }));
  for (const step of free) io.out(`${step} may start`);
  if (!free.length) {
    const which = steps.length ? "they were not held" : "no step that could start now is held";
    io.out(`nothing has changed: ${which}`);
  }
  return exitCode.ok;
}
