// `muster get`: lists as tables or as protobuf JSON.
import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { type Cluster, ClusterSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { type Deployment, DeploymentSchema, StepSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { type Image, ImageSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { type Node, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode } from "../errors.ts";
import { clean, dateTime, elapsed, formatAge, formatBytes, shortDigest, timeMs } from "../format.ts";
import type { Io } from "../io.ts";
import { table } from "../text-table.ts";
import { countSteps, deploymentState, nodeState, powerWord } from "../words.ts";

export const kinds = ["nodes", "clusters", "images", "deployments"] as const;
export type Kind = (typeof kinds)[number];

export type GetOptions = { output?: string };

export async function get(
  operator: Operator,
  io: Io,
  kind: Kind,
  name: string | undefined,
  options: GetOptions,
): Promise<number> {
  const json = options.output === "json";
  if (kind === "nodes") {
    const nodes = name
      ? [(await operator.nodes.getNode({ name })).node]
      : (await operator.nodes.listNodes({})).nodes;
    print(io, json, NodeSchema, known(nodes), (items) => nodeTable(items, io.now()));
  } else if (kind === "clusters") {
    const { clusters: api, deployments } = operator;
    const clusters = name
      ? [(await api.getCluster({ name })).cluster]
      : (await api.listClusters({})).clusters;
    const runs = json ? [] : (await deployments.listDeployments({})).deployments;
    print(io, json, ClusterSchema, known(clusters), (items) => clusterTable(items, runs));
  } else if (kind === "images") {
    const { images: api } = operator;
    const images = name ? [(await api.getImage({ name })).image] : (await api.listImages({})).images;
    print(io, json, ImageSchema, known(images), imageTable);
  } else if (name) {
    await getDeployment(operator, io, name, json);
  } else {
    const { deployments } = await operator.deployments.listDeployments({});
    print(io, json, DeploymentSchema, deployments, (items) => deploymentTable(items, io.now()));
  }
  return exitCode.ok;
}

/** One deployment comes with its steps. */
async function getDeployment(operator: Operator, io: Io, name: string, json: boolean): Promise<void> {
  const { deployment, steps } = await operator.deployments.getDeployment({ name });
  const items = known([deployment]);
  if (!json) {
    for (const line of deploymentTable(items, io.now())) io.out(line);
    const { total, done, failed } = countSteps(steps);
    io.out(`${done} of ${total} steps done, ${failed} failed`);
    return;
  }
  const body = {
    items: items.map((item) => toJson(DeploymentSchema, item)),
    steps: steps.map((step) => toJson(StepSchema, step)),
  };
  io.out(JSON.stringify(body, null, 2));
}

function print<S extends DescMessage>(
  io: Io,
  json: boolean,
  schema: S,
  items: MessageShape<S>[],
  lines: (items: MessageShape<S>[]) => string[],
): void {
  if (json) io.out(JSON.stringify({ items: items.map((item) => toJson(schema, item)) }, null, 2));
  else for (const line of lines(items)) io.out(line);
}

function known<T>(items: (T | undefined)[]): T[] {
  return items.filter((item) => item !== undefined);
}

export function nodeTable(nodes: Node[], now: number): string[] {
  const rows = nodes.map((node) => {
    const seen = timeMs(node.lastSeenTime);
    const age = node.online ? "online" : seen === undefined ? "never" : `${formatAge(now - seen)} ago`;
    const why = [node.approvalCode && `code ${node.approvalCode}`, node.reason, node.fault]
      .filter(Boolean)
      .join("; ");
    const power = powerWord(node.power);
    const state = nodeState(node.state).word;
    return [node.name, state, node.cluster, node.role, node.address, power, age, clean(why)];
  });
  return table(["NAME", "STATE", "CLUSTER", "ROLE", "ADDRESS", "POWER", "SEEN", "REASON"], rows);
}

export function clusterTable(clusters: Cluster[], deployments: Deployment[]): string[] {
  const rows = clusters.map((cluster) => {
    const last = deployments.find(({ name }) => name === cluster.deployment);
    const state = last ? deploymentState(last.state).word : cluster.deployment ? "" : "never deployed";
    const nodes = cluster.spec?.nodes ?? [];
    const roles = [...Map.groupBy(nodes, ({ role }) => role)].map(
      ([role, group]) => `${group.length} ${role}`,
    );
    return [
      cluster.name,
      String(nodes.length),
      roles.join(", "),
      cluster.deployment,
      state,
      clean(last?.reason ?? ""),
    ];
  });
  return table(["NAME", "NODES", "ROLES", "DEPLOYMENT", "STATE", "REASON"], rows);
}

function imageTable(images: Image[]): string[] {
  const rows = images.map((image) => {
    const built = timeMs(image.buildTime);
    const stored = `${formatBytes(image.storedBytes)} in ${image.chunkCount}`;
    const digest = shortDigest(image.digest);
    const date = built === undefined ? "" : dateTime(built);
    return [
      image.name,
      digest,
      formatBytes(image.sizeBytes),
      stored,
      image.kernelVersion,
      image.firmware.join(","),
      date,
    ];
  });
  return table(["NAME", "DIGEST", "SIZE", "STORED (CHUNKS)", "KERNEL", "FIRMWARE", "BUILT"], rows);
}

export function deploymentTable(deployments: Deployment[], now: number): string[] {
  const rows = deployments.map((deployment) => {
    const start = timeMs(deployment.startTime);
    return [
      deployment.name,
      deployment.cluster,
      deploymentState(deployment.state).word,
      start === undefined ? "" : dateTime(start),
      elapsed(deployment.startTime, deployment.endTime, now),
      clean(deployment.reason),
    ];
  });
  return table(["NAME", "CLUSTER", "STATE", "STARTED", "TOOK", "REASON"], rows);
}
