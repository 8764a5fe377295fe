// The steps that bring a node from whatever it is to a system of its own.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import type { PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import type { StepActionSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import type { Member } from "./members.ts";
import { planStep } from "./planned.ts";
import { provisioningTasks } from "./tasks.ts";

type Task = (typeof provisioningTasks)[number];
type Action = MessageInitShape<typeof StepActionSchema>["kind"];

const timeoutSeconds = {
  bootstrap: 900n,
  partition: 900n,
  image: 7200n,
  seed: 600n,
  bootloader: 900n,
  reboot: 1200n,
};

export function provisioningSteps(cluster: Cluster, member: Member): PlannedStep[] {
  const { place, node, disks, image, images, role, hostname } = member;
  const systems = images.systems.map(({ os, image: { digest, kernelVersion, rootPartition } }) => ({
    os,
    imageDigest: digest,
    kernelVersion,
    rootPartition,
  }));
  const actions: Record<Task, Action> = {
    bootstrap: { case: "bootstrap", value: {} },
    partition: { case: "partition", value: { plan: disks } },
    image: {
      case: "image",
      value: {
        plan: disks,
        targets: images.targets.map(({ image, device }) => ({ imageDigest: image.digest, device })),
        delivery: role.delivery,
        verify: role.verify,
      },
    },
    seed: {
      case: "seed",
      value: {
        plan: disks,
        systems,
        hostname,
        domain: cluster.spec?.domain ?? "",
        instanceId: `${cluster.name}-${place.node}-${image.digest.slice(0, 12)}`,
        mac: bootMac(node),
      },
    },
    bootloader: {
      case: "bootloader",
      value: { plan: disks, systems, kernelParameters: role.kernelParameters },
    },
    reboot: {
      case: "reboot",
      value: { hostname, rootDevice: disks.kernelRoot, imageDigest: image.digest },
    },
  };
  return inOrder(place.node, (task) => ({ action: { kind: actions[task] } }));
}

/** The NIC it boots from: the declared one, else the first that has link. */
function bootMac({ spec, inventory, fingerprint }: Node): string {
  const linked = inventory?.nics.find(({ link }) => link);
  return spec?.macs[0] ?? linked?.mac ?? fingerprint?.macs[0] ?? "";
}

/** The same steps, not done: `because`. */
export function skippedProvisioning(node: string, because: string): PlannedStep[] {
  return inOrder(node, () => ({ skippedBecause: because }));
}

function inOrder(
  node: string,
  fields: (task: Task) => { action?: { kind: Action }; skippedBecause?: string },
): PlannedStep[] {
  return provisioningTasks.map((task, index) => {
    const before = provisioningTasks[index - 1];
    return planStep({
      node,
      task,
      requires: before ? [`${node}/${before}`] : [],
      timeout: { seconds: timeoutSeconds[task] },
      ...fields(task),
    });
  });
}
