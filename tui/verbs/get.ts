// `muster get`: whole lists, however many pages they have, as tables or as protobuf JSON.
import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { selectorFilter } from "../../proto/filter/selector.ts";
import {
  type Cluster,
  ClusterSchema,
  type Document,
  DocumentSchema,
} from "../../proto/gen/muster/v1/cluster_pb.ts";
import { type Deployment, DeploymentSchema, StepSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { type Image, ImageSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { type Node, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode, RefusedError } from "../errors.ts";
import { clean, dateTime, elapsed, formatAge, formatBytes, shortDigest, timeMs } from "../format.ts";
import type { Io } from "../io.ts";
import { stepsTaken } from "../model.ts";
import { jsonList, type OutputOptions, wantsJson } from "../output.ts";
import { allPages } from "../pages.ts";
import { stepTable } from "../step-table.ts";
import { table } from "../text-table.ts";
import {
  countSteps,
  countText,
  deploymentState,
  faultText,
  flagText,
  imageKind,
  nodeState,
  powerWord,
  runText,
} from "../words.ts";

export const kinds = [
  "nodes",
  "clusters",
  "images",
  "deployments",
  "steps",
  "roles",
  "schemes",
  "tasks",
  "graphs",
  "mirrors",
] as const;
export type Kind = (typeof kinds)[number];

type GetOptions = OutputOptions & { filter?: string; selector?: string[] };

export async function get(
  operator: Operator,
  io: Io,
  kind: Kind,
  name: string | undefined,
  options: GetOptions,
): Promise<number> {
  const { selector } = options;
  if (selector && (kind !== "nodes" || name || options.filter))
    throw new RefusedError("-l is for a list of nodes, in place of --filter");
  const json = wantsJson(options);
  if (kind === "steps") return getSteps(operator, io, name, options);
  if (name && options.filter) throw new RefusedError("--filter is for a list, not for one thing by name");
  if (kind === "nodes") {
    const { nodes: api } = operator;
    const nodes = name
      ? [(await api.getNode({ name })).node]
      : await allPages(
          (request) => api.listNodes(request),
          (page) => page.nodes,
          selector ? { filter: selectorFilter(selector) } : options,
        );
    print(io, json, NodeSchema, known(nodes), (items) => nodeTable(items, io.now()));
  } else if (kind === "clusters") {
    const { clusters: api } = operator;
    const clusters = name
      ? [(await api.getCluster({ name })).cluster]
      : await allPages(
          (request) => api.listClusters(request),
          (page) => page.clusters,
          options,
        );
    const runs = json ? [] : await deploymentList(operator);
    print(io, json, ClusterSchema, known(clusters), (items) => clusterTable(items, runs));
  } else if (kind === "images") {
    const { images: api } = operator;
    const images = name
      ? [(await api.getImage({ name })).image]
      : await allPages(
          (request) => api.listImages(request),
          (page) => page.images,
          options,
        );
    print(io, json, ImageSchema, known(images), imageTable);
  } else if (kind !== "deployments") {
    print(io, json, DocumentSchema, await documents(operator, kind, name, options), documentTable);
  } else if (name) {
    await getDeployment(operator, io, name, json);
  } else {
    const runs = await deploymentList(operator, options);
    print(io, json, DeploymentSchema, runs, (items) => deploymentTable(items, io.now()));
  }
  return exitCode.ok;
}

/** The steps of one deployment; JSON has the barriers too. */
async function getSteps(
  { deployments }: Operator,
  io: Io,
  name: string | undefined,
  options: GetOptions,
): Promise<number> {
  if (!name) throw new RefusedError("whose steps? name a deployment, or a cluster for its newest");
  const steps = await allPages(
    (request) => deployments.listSteps({ ...request, deployment: name }),
    (page) => page.steps,
    options,
  );
  if (wantsJson(options)) io.out(jsonList(steps.map((step) => toJson(StepSchema, step))));
  else {
    const { deployment } = await deployments.getDeployment({ name });
    for (const line of deployment ? stepTable(steps, deployment, io.now()) : []) io.out(line);
  }
  return exitCode.ok;
}

function deploymentList({ deployments }: Operator, options: { filter?: string } = {}): Promise<Deployment[]> {
  return allPages(
    (request) => deployments.listDeployments(request),
    (page) => page.deployments,
    options,
  );
}

/** Roles, schemes, tasks, graphs and mirrors are stored manifests; all are listed by one call. */
async function documents(
  { clusters }: Operator,
  kind: Kind,
  name: string | undefined,
  options: { filter?: string },
): Promise<Document[]> {
  const prefix = `${kind.slice(0, -1)}/`;
  if (name) return known([(await clusters.getDocument({ name: prefix + name })).document]);
  const all = await allPages(
    (request) => clusters.listDocuments(request),
    (page) => page.documents,
    options,
  );
  return all.filter((document) => document.name.startsWith(prefix));
}

/** One deployment comes with its steps. */
async function getDeployment(operator: Operator, io: Io, name: string, json: boolean): Promise<void> {
  const { deployment, steps } = await operator.deployments.getDeployment({ name });
  const items = known([deployment]);
  if (!json) {
    for (const line of deploymentTable(items, io.now())) io.out(line);
    if (deployment) io.out(countText(countSteps(stepsTaken(deployment, steps)), deployment));
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
  if (json) io.out(jsonList(items.map((item) => toJson(schema, item))));
  else for (const line of lines(items)) io.out(line);
}

function known<T>(items: (T | undefined)[]): T[] {
  return items.filter((item) => item !== undefined);
}

export function nodeTable(nodes: Node[], now: number): string[] {
  const rows = nodes.map((node) => {
    const seen = timeMs(node.lastSeenTime);
    const age = node.online ? "online" : seen === undefined ? "never" : `${formatAge(now - seen)} ago`;
    const why = [
      node.approvalCode && `code ${node.approvalCode}`,
      flagText(node),
      node.reason,
      faultText(node),
    ]
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

function documentTable(items: Document[]): string[] {
  const rows = items.map(({ name, etag }) => [name.slice(name.indexOf("/") + 1), etag]);
  return table(["NAME", "REVISION"], rows);
}

function imageTable(images: Image[]): string[] {
  const rows = images.map((image) => {
    const built = timeMs(image.buildTime);
    const stored = `${formatBytes(image.storedBytes)} in ${image.chunkCount}`;
    const digest = shortDigest(image.digest);
    const date = built === undefined ? "" : dateTime(built);
    return [
      image.name,
      image.version,
      imageKind(image.kind),
      digest,
      formatBytes(image.sizeBytes),
      stored,
      image.kernelVersion,
      image.firmware.join(","),
      date,
    ];
  });
  const head = [
    "NAME",
    "VERSION",
    "KIND",
    "DIGEST",
    "SIZE",
    "STORED (CHUNKS)",
    "KERNEL",
    "FIRMWARE",
    "BUILT",
  ];
  return table(head, rows);
}

export function deploymentTable(deployments: Deployment[], now: number): string[] {
  const rows = deployments.map((deployment) => {
    const start = timeMs(deployment.startTime);
    return [
      deployment.name,
      deployment.cluster,
      runText(deployment) || "deploy",
      deploymentState(deployment.state).word,
      start === undefined ? "" : dateTime(start),
      elapsed(deployment.startTime, deployment.endTime, now),
      clean(deployment.reason),
    ];
  });
  return table(["NAME", "CLUSTER", "FOR", "STATE", "STARTED", "TOOK", "REASON"], rows);
}
