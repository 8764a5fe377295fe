// Which contents of images somebody needs. It is worked out from the state each time, and stored nowhere.
import { type Deployment, Deployment_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Image } from "../../proto/gen/muster/v1/image_pb.ts";
import type { StepAction } from "../../proto/gen/muster/v1/step_pb.ts";
import type { Decision } from "./decision.ts";
import { isRunning } from "./schedule.ts";
import { put, type State } from "./state.ts";

/**
 * Digests of manifests: of every image, of the `keep` former contents of each, of what nodes say that they run, and
 * of what deployments install that run or can be gone on with.
 */
export function neededImages(state: State, keep: number): Set<string> {
  const needed = new Set<string>();
  for (const { digest, formerDigests } of state.images.values()) {
    needed.add(digest);
    for (const former of formerDigests.slice(0, keep)) needed.add(former);
  }
  for (const { installed } of state.nodes.values()) {
    if (installed?.imageDigest) needed.add(installed.imageDigest);
  }
  for (const deployment of state.deployments.values()) {
    if (!isRunning(deployment) && !canGoOn(state, deployment)) continue;
    for (const { imageDigest } of deployment.plan?.nodes ?? []) if (imageDigest) needed.add(imageDigest);
    for (const { action } of deployment.plan?.steps ?? [])
      for (const digest of writtenBy(action)) needed.add(digest);
  }
  return needed;
}

/** By `retry` or `resume`: the newest of its cluster, if it has not succeeded. */
function canGoOn({ clusters }: State, { name, cluster, state }: Deployment): boolean {
  return clusters.get(cluster)?.deployment === name && state !== Deployment_State.SUCCEEDED;
}

/** Images forget their former contents that are not needed. Returns what is. */
export function forgetFormer(decision: Decision, keep: number): Set<string> {
  const needed = neededImages(decision.state, keep);
  for (const image of [...decision.state.images.values()]) {
    const formerDigests = image.formerDigests.filter((digest) => needed.has(digest));
    if (formerDigests.length === image.formerDigests.length) continue;
    decision.change(put({ case: "image", value: { ...image, formerDigests } }));
  }
  return needed;
}

/** What an image's former contents are when it gets this one. */
export function formerDigests(known: Image | undefined, digest: string): string[] {
  if (!known) return [];
  return [known.digest, ...known.formerDigests].filter((former) => former !== digest);
}

/** Running deployments that install an image with this content. */
export function deploymentsOf(state: State, digest: string): string[] {
  return [...state.deployments.values()]
    .filter(isRunning)
    .filter(
      ({ plan }) =>
        plan?.nodes.some(({ imageDigest }) => imageDigest === digest) ||
        plan?.steps.some(({ action }) => writtenBy(action).includes(digest)),
    )
    .map(({ name }) => name);
}

function writtenBy(action: StepAction | undefined): string[] {
  if (action?.kind.case !== "image") return [];
  return action.kind.value.targets.map(({ imageDigest }) => imageDigest);
}
