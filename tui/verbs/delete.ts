// `muster delete`: forgets a thing, as it is now; what has changed since it was looked at is not deleted.
import { change } from "../change.ts";
import type { Operator } from "../client.ts";
import { exitCode } from "../errors.ts";
import type { Io } from "../io.ts";
import { agree } from "./agree.ts";

export const deletable = ["node", "cluster", "image", "role", "scheme", "task", "graph", "mirror"] as const;
export type Deletable = (typeof deletable)[number];

const consequences: Record<Deletable, string> = {
  node: "its record and history are forgotten; the machine is left as it is",
  cluster: "it and its deployments are forgotten; its nodes and what runs on them are left as they are",
  image: "its name is forgotten; its content goes with the next `muster image gc`",
  role: "the manifest is forgotten",
  scheme: "the manifest is forgotten",
  task: "the manifest is forgotten",
  graph: "the manifest is forgotten; its tasks stay",
  mirror: "agents are no longer sent there; the files that it serves are left as they are",
};

export async function remove(
  operator: Operator,
  io: Io,
  kind: Deletable,
  name: string,
  options: { yes?: boolean },
): Promise<number> {
  const etag = await etagOf(operator, kind, name);
  if (!options.yes) {
    io.out(`Deleting ${kind} ${name}: ${consequences[kind]}`);
    await agree(io, `the ${kind}'s name`, name);
  }
  await change((requestId) => call(operator, kind, { name, etag, requestId }));
  io.out(`${kind}/${name} deleted`);
  return exitCode.ok;
}

async function etagOf({ nodes, clusters, images }: Operator, kind: Deletable, name: string): Promise<string> {
  if (kind === "node") return (await nodes.getNode({ name })).node?.etag ?? "";
  if (kind === "cluster") return (await clusters.getCluster({ name })).cluster?.etag ?? "";
  if (kind === "image") return (await images.getImage({ name })).image?.etag ?? "";
  return (await clusters.getDocument({ name: `${kind}/${name}` })).document?.etag ?? "";
}

type Request = { name: string; etag: string; requestId: string };

function call({ nodes, clusters, images }: Operator, kind: Deletable, request: Request): Promise<unknown> {
  if (kind === "node") return nodes.deleteNode(request);
  if (kind === "cluster") return clusters.deleteCluster(request);
  if (kind === "image") return images.deleteImage(request);
  return clusters.deleteDocument({ ...request, name: `${kind}/${request.name}` });
}
