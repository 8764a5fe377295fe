// Plans the release of nodes: back into the ramdisk, and exactly those disks wiped that Muster has written to.
import { create } from "@bufbuild/protobuf";
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { type NodePlan, NodePlanSchema, Purpose } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { PlannedDisk } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { flagFaults } from "./changed.ts";
import { describeFate } from "./disk-contents.ts";
import { type PlanFault, type Planned, planStep, sealPlan } from "./planned.ts";
import type { State } from "./state.ts";

const timeoutSeconds = { bootstrap: 900n, wipe: 1800n };

export function planRelease(state: State, { name: cluster }: Cluster, names: readonly string[]): Planned {
  const own = [...state.nodes.values()].filter((node) => node.cluster === cluster).map(({ name }) => name);
  const wanted = names.length ? [...new Set(names)] : own.sort();
  const faults: PlanFault[] = [];
  if (!wanted.length) faults.push({ node: "", message: `no node is deployed with cluster ${cluster}` });
  const nodes: NodePlan[] = [];
  for (const name of wanted) {
    const planned = planNode(state, cluster, name);
    if (typeof planned === "string") faults.push({ node: name, message: planned });
    else nodes.push(planned);
  }
  const steps = nodes.flatMap(({ node, disks }) => [
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
      action: { kind: { case: "wipe", value: { disks: disks?.disks ?? [] } } },
      timeout: { seconds: timeoutSeconds.wipe },
    }),
  ]);
  faults.push(...flagFaults(state, steps));
  return faults.length ? { faults } : { plan: sealPlan({ cluster, purpose: Purpose.RELEASE, nodes, steps }) };
}

function planNode(state: State, cluster: string, name: string): NodePlan | string {
  const node = state.nodes.get(name);
  if (!node) return "there is no node of that name";
  if (node.cluster !== cluster) {
    return node.cluster
      ? `it is deployed with cluster ${node.cluster}`
      : "it is not deployed: it is free already";
  }
  const disks = writtenDisks(state, node);
  if (!disks.length)
    return "nobody knows any more which disks were written: wipe it by hand and delete the node";
  const { role, hostname } = node;
  return create(NodePlanSchema, { node: name, role, hostname, disks: { disks } });
}

/** The disks of its newest deployment that are still there, as they are now. */
function writtenDisks(state: State, { name, cluster, inventory, spec }: Node): PlannedDisk[] {
  const deployments = [...state.deployments.values()].filter(
    (other) => other.cluster === cluster && other.plan?.purpose !== Purpose.RELEASE,
  );
  const plans = deployments
    .sort((a, b) => Number(b.startTime?.seconds ?? 0n) - Number(a.startTime?.seconds ?? 0n))
    .flatMap(({ plan }) => plan?.nodes.filter(({ node }) => node === name) ?? []);
  return (plans[0]?.disks?.disks ?? []).flatMap((planned) => {
    const disk = inventory?.disks.find((found) => isSame(planned, found));
    const isProtected = spec?.protectedDisks.some((id) => id === planned.serial || id === planned.wwn);
    if (!disk || isProtected) return [];
    return [
      { ...planned, partitions: [], lastName: disk.name, destroys: describeFate(disk, () => false).destroys },
    ];
  });
}

function isSame(planned: PlannedDisk, { serial, wwn }: Disk): boolean {
  return planned.serial === serial && planned.wwn === wwn;
}
