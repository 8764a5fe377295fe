// The operator's connection to one life of the daemon.
import { credentials } from "@grpc/grpc-js";
import { ClusterService } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { DeploymentService } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { ImageService } from "../../proto/gen/muster/v1/image_pb.ts";
import { NodeService } from "../../proto/gen/muster/v1/node_pb.ts";
import { WatchService } from "../../proto/gen/muster/v1/watch_pb.ts";
import { Connection } from "../../proto/rpc/client.ts";
import type { View } from "./witness.ts";

export class Api implements Disposable {
  readonly #connection: Connection;
  readonly nodes;
  readonly clusters;
  readonly deployments;
  readonly images;
  readonly watch;

  constructor(socketPath: string) {
    this.#connection = new Connection(`unix:${socketPath}`, credentials.createInsecure());
    this.nodes = this.#connection.client(NodeService);
    this.clusters = this.#connection.client(ClusterService);
    this.deployments = this.#connection.client(DeploymentService);
    this.images = this.#connection.client(ImageService);
    this.watch = this.#connection.client(WatchService);
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }
}

type Page = { nextPageToken: string; revision: bigint };

/** Every page of a list. */
export async function listAll<P extends Page, T>(
  list: (request: { pageSize: number; pageToken: string }) => Promise<P>,
  itemsOf: (page: P) => T[],
): Promise<{ items: T[]; revision: bigint }> {
  const items: T[] = [];
  let pageToken = "";
  while (true) {
    const page = await list({ pageSize: 1000, pageToken });
    items.push(...itemsOf(page));
    if (!page.nextPageToken) return { items, revision: page.revision };
    pageToken = page.nextPageToken;
  }
}

/** Where the witness knows the reason of a node's maintenance. */
export const maintenanceOf = (node: string) => `maintenance of ${node}`;

/** What the daemon shows now, for the witness. */
export async function look({ nodes, clusters, deployments }: Api): Promise<View> {
  const found = await listAll(nodes.listNodes, (page) => page.nodes);
  const documents = await listAll(clusters.listDocuments, (page) => page.documents);
  const all = await listAll(clusters.listClusters, (page) => page.clusters);
  const runs = await listAll(deployments.listDeployments, (page) => page.deployments);
  const revisions = new Map<string, bigint>();
  const texts = new Map<string, string>();
  for (const { name, revision, maintenanceReason } of found.items) {
    revisions.set(`node/${name}`, revision);
    if (maintenanceReason) texts.set(maintenanceOf(name), maintenanceReason);
  }
  for (const { name, revision, manifest } of documents.items) {
    revisions.set(name, revision);
    const task = manifest?.kind.case === "task" ? manifest.kind.value : undefined;
    if (task?.action.case === "shell") texts.set(name, task.action.value.command);
  }
  for (const { name, revision } of all.items) revisions.set(`cluster/${name}`, revision);
  for (const { name, revision } of runs.items) revisions.set(`deployment/${name}`, revision);
  return { revision: runs.revision, revisions, texts };
}
