// Where a node gets an image from, and which other images its disks may still hold.

import { ImageSource_Kind as Kind } from "../../proto/gen/muster/v1/delivery_pb.ts";
import type { Deployment, Plan } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Delivery, type MirrorSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { isRunning } from "./schedule.ts";
import type { State } from "./state.ts";

/** Of the daemon itself, or of a mirror. */
export type Source = { kind: Kind; mirror?: MirrorSpec };

/** How many deployments of the node's cluster are looked at for what it had. */
const deploymentsBack = 5;

/** An image that an unfinished deployment puts on the node, or that it runs from. */
export function isAssigned(state: State, node: Node, digest: string): boolean {
  if (node.installed?.imageDigest === digest) return true;
  return [...state.deployments.values()].some(
    (deployment) => isRunning(deployment) && imagesOf(deployment, node.name).includes(digest),
  );
}

/** Digests of images that the node had, newest first, and of what the image's name stood for before. */
export function formerImages(state: State, node: Node, digest: string): string[] {
  const deployments = [...state.deployments.values()]
    .filter(({ cluster }) => cluster === node.cluster)
    .sort((a, b) => Number((b.startTime?.seconds ?? 0n) - (a.startTime?.seconds ?? 0n)))
    .slice(0, deploymentsBack);
  const digests = [
    node.installed?.imageDigest ?? "",
    ...deployments.flatMap((deployment) => imagesOf(deployment, node.name)),
    ...(state.image(digest)?.formerDigests ?? []),
  ];
  return [...new Set(digests)].filter((other) => other !== "" && other !== digest);
}

/** In the order in which they are to be tried. `liars`: mirrors that are not trusted for now. */
export function sourcesFor(
  mirrors: readonly MirrorSpec[],
  labels: Record<string, string>,
  delivery: Delivery,
  liars: ReadonlySet<string>,
): Source[] {
  const near = nearestFirst(mirrors, labels).map((mirror) => ({ kind: Kind.HTTP, mirror }));
  const good = near.filter(({ mirror }) => !liars.has(mirror.name));
  const bad = near.filter(({ mirror }) => liars.has(mirror.name));
  const [grpc, http, torrent] = [{ kind: Kind.GRPC }, { kind: Kind.HTTP }, { kind: Kind.TORRENT }];
  switch (delivery) {
    case Delivery.GRPC:
      return [grpc, http];
    case Delivery.HTTP:
      return [...good, http, grpc, ...bad];
    case Delivery.TORRENT:
      return [torrent, ...good, http, grpc, ...bad];
    default:
      return [...good, grpc, http, ...bad];
  }
}

/** Those whose labels the node all has. */
function nearestFirst(mirrors: readonly MirrorSpec[], labels: Record<string, string>): MirrorSpec[] {
  const count = (mirror: MirrorSpec) => Object.keys(mirror.labels).length;
  return mirrors
    .filter((mirror) => Object.entries(mirror.labels).every(([key, value]) => labels[key] === value))
    .sort((a, b) => count(b) - count(a) || (a.name < b.name ? -1 : 1));
}

// A plan never changes, so what it says about images is looked up once.
const plannedImages = new WeakMap<Plan, ReadonlyMap<string, string[]>>();

/** That of `/` first. */
function imagesOf({ plan }: Deployment, node: string): readonly string[] {
  if (!plan) return [];
  const known = plannedImages.get(plan) ?? imagesByNode(plan);
  plannedImages.set(plan, known);
  return known.get(node) ?? [];
}

/** A step that is not done has no action, but the node has its image. */
function imagesByNode({ nodes, steps }: Plan): Map<string, string[]> {
  const images = new Map(nodes.map(({ node, imageDigest }) => [node, [imageDigest]]));
  for (const { node, action } of steps) {
    if (action?.kind.case !== "image") continue;
    const targets = action.kind.value.targets.map(({ imageDigest }) => imageDigest);
    images.set(node, [...new Set([...(images.get(node) ?? []), ...targets])].filter(Boolean));
  }
  return images;
}
