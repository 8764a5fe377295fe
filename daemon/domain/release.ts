// Plans the release of nodes: their deletion tasks, back into the ramdisk, and exactly those disks erased that
// Muster has written to.
import { create } from "@bufbuild/protobuf";
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  type NodePlan,
  NodePlanSchema,
  type PlannedStep,
  Purpose,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { PlannedDisk } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { EraseMode } from "../../proto/gen/muster/v1/erase_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { isMarked } from "../../proto/plan/disk-mark.ts";
import { flagFaults } from "./changed.ts";
import { deletionSteps, lastSteps } from "./deletion.ts";
import { DiskOwners } from "./disk-owners.ts";
import { sortGraph } from "./graph.ts";
import { bridgeLeftOut } from "./left-out.ts";
import { type PlanFault, type Planned, planStep, sealPlan } from "./planned.ts";
import { sortDisks } from "./release-disks.ts";
import type { State } from "./state.ts";
import { deletionGraph } from "./task-spread.ts";

export type ReleaseOptions = {
  /** The nodes; all that are deployed with the cluster if empty. */
  nodes?: readonly string[];
  /** What the cluster says if absent. */
  erase?: EraseMode;
  /** Serials or wwns of disks that are left as they are. */
  skip?: readonly string[];
};

const timeoutSeconds = { bootstrap: 900n, metadata: 1800n, full: 24n * 3600n };
/** Below what any disk that is worth keeping writes. */
const slowestBytesPerSecond = 20_000_000;

export function planRelease(state: State, cluster: Cluster, options: ReleaseOptions): Planned {
  const { name, spec } = cluster;
  const mode = options.erase || (spec?.erase === "full" ? EraseMode.FULL : EraseMode.METADATA);
  const skip = options.skip ?? [];
  const own = [...state.nodes.values()].filter((node) => node.cluster === name).map((node) => node.name);
  const wanted = options.nodes?.length ? [...new Set(options.nodes)] : own.sort();
  const faults: PlanFault[] = [];
  if (!wanted.length) faults.push({ node: "", message: `no node is deployed with cluster ${name}` });
  faults.push(...skipFaults(state, wanted, skip));
  const owners = new DiskOwners(state.nodes.values());
  const nodes: NodePlan[] = [];
  const steps: PlannedStep[] = [];
  for (const nodeName of wanted) {
    const node = state.nodes.get(nodeName);
    const written = node && node.cluster === name ? writtenDisks(state, node) : [];
    const obstacle = obstacleTo(node, name, written);
    if (!node || obstacle) {
      faults.push({ node: nodeName, message: obstacle });
      continue;
    }
    const protectedDisks = [...(node.spec?.protectedDisks ?? []), ...(spec?.protectedDisks ?? [])];
    const sorted = sortDisks(node, written, { protectedDisks, skip, owners });
    faults.push(...sorted.faults.map((message) => ({ node: nodeName, message })));
    const { role, hostname } = node;
    const { erased, left } = sorted;
    nodes.push(
      create(NodePlanSchema, { node: nodeName, role, hostname, disks: { disks: erased }, erase: mode, left }),
    );
    steps.push(...releaseSteps(nodeName, erased, { mode, skip: [...skip], protectedDisks }));
  }
  const released = nodes.map(({ node }) => node);
  const deletion = deletionSteps(state, cluster, released);
  faults.push(...deletion.faults);
  const sorted = sortGraph([...deletion.steps, ...steps.map((step) => afterDeletion(step, deletion.steps))]);
  if ("cycle" in sorted) {
    faults.push({ node: "", message: `steps wait for each other: ${sorted.cycle.join(" -> ")}` });
    return { faults };
  }
  bridgeLeftOut(sorted.order);
  faults.push(...flagFaults(state, sorted.order));
  if (faults.length) return { faults };
  const graph = deletion.steps.length ? deletionGraph : "";
  return { plan: sealPlan({ cluster: name, purpose: Purpose.RELEASE, nodes, steps: sorted.order, graph }) };
}

function afterDeletion(step: PlannedStep, deletion: readonly PlannedStep[]): PlannedStep {
  if (step.task === "bootstrap") step.requires = lastSteps(deletion, step.node);
  return step;
}

/** A word that names no disk is a slip of the keyboard, and the disk that was meant would be erased. */
function skipFaults(state: State, names: string[], skip: readonly string[]): PlanFault[] {
  const disks = names.flatMap((name) => state.nodes.get(name)?.inventory?.disks ?? []);
  return skip
    .filter((id) => !disks.some((disk) => isMarked(disk, [id])))
    .map((id) => ({
      node: "",
      message: `no disk to skip has the serial or wwn ${id}: see \`muster describe node\` for those of each node`,
    }));
}

function obstacleTo(node: Node | undefined, cluster: string, written: PlannedDisk[]): string {
  if (!node) return "there is no node of that name";
  if (node.cluster !== cluster) {
    return node.cluster
      ? `it is deployed with cluster ${node.cluster}`
      : "it is not deployed: it is free already";
  }
  if (written.length) return "";
  return "nobody knows any more which disks were written: wipe it by hand and delete the node";
}

function releaseSteps(
  node: string,
  disks: PlannedDisk[],
  how: { mode: EraseMode; skip: string[]; protectedDisks: string[] },
): PlannedStep[] {
  return [
    planStep({
      node,
      task: "bootstrap",
      action: { kind: { case: "bootstrap", value: {} } },
      timeout: { seconds: timeoutSeconds.bootstrap },
    }),
    planStep({
      node,
      task: "wipe",
      requires: [`${node}/bootstrap`],
      action: { kind: { case: "wipe", value: { ...how, disks } } },
      timeout: { seconds: how.mode === EraseMode.FULL ? fullSeconds(disks) : timeoutSeconds.metadata },
    }),
  ];
}

/** A disk that erases itself may take a day, whatever its size; all are erased at the same time. */
function fullSeconds(disks: PlannedDisk[]): bigint {
  const largest = Math.max(0, ...disks.map(({ sizeBytes }) => Number(sizeBytes)));
  return timeoutSeconds.full + BigInt(Math.ceil(largest / slowestBytesPerSecond));
}

/** The disks of its newest deployment that is about them. */
function writtenDisks(state: State, { name, cluster }: Node): PlannedDisk[] {
  const deployments = [...state.deployments.values()].filter(
    (other) => other.cluster === cluster && other.plan?.purpose !== Purpose.RELEASE,
  );
  const plans = deployments
    .sort((a, b) => Number(b.startTime?.seconds ?? 0n) - Number(a.startTime?.seconds ?? 0n))
    // Of a deployment that left its provisioning out, the plan says nothing of the node's disks.
    .flatMap(({ plan }) => plan?.nodes.filter(({ node, disks }) => node === name && disks) ?? []);
  return plans[0]?.disks?.disks ?? [];
}
