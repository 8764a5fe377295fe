// Deploys a cluster and waits for the end: node deploy.ts CLUSTER
//
// The daemon's socket is found by MUSTER_STATE_DIR. In a project of your own: npm install /path/to/muster
import { codes, connect, RpcError } from "muster/client";
import { Deployment_State, Step_State } from "muster/v1/deployment";
import { Node_State } from "muster/v1/node";

/** The name of an enum's value: READY for 8. */
const nameOf = (values: Record<string, number>, value: number) =>
  Object.keys(values).find((name) => values[name] === value);

const cluster = process.argv[2] ?? "demo";
using muster = connect();
try {
  let pageToken = "";
  do {
    const page = await muster.nodes.listNodes({ filter: "state != DISCOVERED", pageToken });
    for (const { name, state, address } of page.nodes)
      console.log(`node ${name}: ${nameOf(Node_State, state)} ${address}`);
    pageToken = page.nextPageToken;
  } while (pageToken);

  const { plan } = await muster.deployments.planCluster({ cluster });
  console.log(`plan ${plan?.hash.slice(0, 12)}: ${plan?.steps.length} steps on ${plan?.nodes.length} nodes`);

  // The client gives every change a request id: if the answer is lost, the same call is made again, and the
  // deployment is started once.
  const started = await muster.deployments.startDeployment({ cluster, planHash: plan?.hash });
  const name = started.deployment?.name ?? "";
  console.log(`started ${name}`);

  let answer = await muster.deployments.waitDeployment({ name });
  while (!answer.done) answer = await muster.deployments.waitDeployment({ name });

  const { steps } = await muster.deployments.listSteps({ deployment: name, pageSize: 1000 });
  for (const { node, task, state, result, reason } of steps)
    console.log(`step ${node}/${task}: ${nameOf(Step_State, state)} ${result || reason}`);
  const { state = Deployment_State.UNSPECIFIED, reason = "" } = answer.deployment ?? {};
  console.log(`${name}: ${nameOf(Deployment_State, state)} ${reason}`);
  if (state !== Deployment_State.SUCCEEDED) process.exitCode = 1;
} catch (error) {
  const { code, reason, message, violations } = RpcError.from(error);
  console.error(`${codes[code]} ${reason}: ${message}`);
  for (const { subject, description } of violations) console.error(`  ${subject}: ${description}`);
  process.exitCode = 1;
}
