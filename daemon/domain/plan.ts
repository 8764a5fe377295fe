// Resolves a cluster into a plan: every node's disks and the whole graph of steps. Pure: the same state
// gives the same plan and hash.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { NodePlanSchema, type PlannedStep, Purpose, Scope } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Image } from "../../proto/gen/muster/v1/image_pb.ts";
import { Firmware_Mode } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { ClusterNode, RoleSpec, TaskSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import type { StepActionSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { nearest } from "../../proto/manifest/suggest.ts";
import { wholeDiskOf } from "../../proto/plan/whole-disk.ts";
import { canStart } from "./boot-disk.ts";
import { flagFaults, leaveOutUnchanged } from "./changed.ts";
import { planDisks } from "./disk-plan.ts";
import { sortGraph } from "./graph.ts";
import { type NodeImages, placeImages } from "./image-targets.ts";
import { type PlanFault, type Planned, planStep, sealPlan } from "./planned.ts";
import { planRelease, type ReleaseOptions } from "./release.ts";
import { secretFaults } from "./secret-use.ts";
import type { State } from "./state.ts";
import { provisioningTasks } from "./tasks.ts";

type Action = MessageInitShape<typeof StepActionSchema>["kind"];

/** One node with everything that its place in the cluster refers to. */
type Member = {
  place: ClusterNode;
  node: Node;
  role: RoleSpec;
  /** That of `/`; of the first operating system if there are several. */
  image: Image;
  images: NodeImages;
  disks: DiskPlan;
  hostname: string;
};

const timeoutSeconds = {
  bootstrap: 900n,
  partition: 900n,
  image: 7200n,
  seed: 600n,
  bootloader: 900n,
  reboot: 1200n,
  config: 600n,
};

export type PlanOptions = {
  /** SCOPE_CHANGED if absent. */
  scope?: Scope;
  purpose?: Purpose;
} & ReleaseOptions;

/** What a deployment of the cluster would do now. */
export function planCluster(state: State, cluster: Cluster, options: PlanOptions = {}): Planned {
  if (options.purpose === Purpose.RELEASE) return planRelease(state, cluster, options);
  const faults: PlanFault[] = [];
  const members: Member[] = [];
  for (const place of cluster.spec?.nodes ?? []) {
    const member = resolveMember(state, cluster, place);
    if ("faults" in member) faults.push(...member.faults.map((message) => ({ node: place.node, message })));
    else members.push(member);
  }
  if (faults.length) return { faults };

  const steps = [
    ...members.flatMap((member) => provisioningSteps(cluster, member)),
    ...configSteps(cluster, members, state.tasks(), faults),
  ];
  if (faults.length) return { faults };
  const sorted = sortGraph(steps);
  if ("cycle" in sorted) {
    return { faults: [{ node: "", message: `steps wait for each other: ${sorted.cycle.join(" -> ")}` }] };
  }
  if (options.scope !== Scope.ALL) leaveOutUnchanged(state, sorted.order);
  const forbidden = flagFaults(state, sorted.order);
  if (forbidden.length) return { faults: forbidden };
  const nodes = members.map(({ place, hostname, image, images, role, disks }) =>
    create(NodePlanSchema, {
      node: place.node,
      role: place.role,
      hostname,
      image: image.name,
      imageDigest: image.digest,
      scheme: role.scheme,
      disks,
      further: images.targets
        .filter(({ device }) => device !== disks.rootDevice)
        .map(({ image, device }) => ({ device, image: image.name, imageDigest: image.digest })),
    }),
  );
  return { plan: sealPlan({ cluster: cluster.name, purpose: Purpose.DEPLOY, nodes, steps: sorted.order }) };
}

function resolveMember(state: State, cluster: Cluster, place: ClusterNode): Member | { faults: string[] } {
  const node = state.nodes.get(place.node);
  if (!node) {
    return { faults: [`there is no node of that name${suggest(place.node, state.nodes.keys())}`] };
  }
  const { inventory } = node;
  if (!inventory) {
    return {
      faults: ["its hardware is not known yet: switch it on, let it boot from the network and approve it"],
    };
  }
  const role = state.role(place.role);
  if (!role) return { faults: [`there is no role ${place.role}`] };
  const scheme = state.scheme(role.scheme);
  if (!scheme) return { faults: [`role ${role.name}: there is no scheme ${role.scheme}`] };

  const protectedDisks = [...(node.spec?.protectedDisks ?? []), ...(cluster.spec?.protectedDisks ?? [])];
  const planned = planDisks(scheme, inventory, { protectedDisks });
  if (!planned.ok)
    return { faults: planned.faults.map((fault) => `scheme ${scheme.name}: ${fault.message}`) };
  const disks = planned.plan;
  const images = placeImages(state, role, disks);
  if ("faults" in images) return images;
  const [{ image }] = images.systems;
  const faults = [...firmwareFaults(node, image, disks), ...secretFaults(state, scheme)];
  if (faults.length) return { faults };
  return { place, node, role, image, images, disks, hostname: place.hostname || place.node };
}

/** A node must be able to start what is written on its disks. */
function firmwareFaults({ inventory }: Node, image: Image, disks: DiskPlan): string[] {
  const uefi = inventory?.firmware?.mode === Firmware_Mode.UEFI;
  const firmware = uefi ? "uefi" : "bios";
  const faults: string[] = [];
  if (!image.firmware.includes(firmware)) {
    const known = image.firmware.join(", ") || "nothing that is known";
    faults.push(`it boots by ${firmware}, image ${image.name} only by ${known}`);
  }
  // What an image of a whole disk has for which firmware is known to it alone.
  if (wholeDiskOf(disks)) return faults;
  if (!disks.disks.some((disk) => canStart(disk, firmware))) {
    const flag = uefi ? "esp" : "bios_grub";
    faults.push(`it boots by ${firmware}, but the scheme has no partition with the flag ${flag}`);
  }
  return faults;
}

function provisioningSteps(cluster: Cluster, member: Member): PlannedStep[] {
  const { place, node, disks, image, images, role, hostname } = member;
  const systems = images.systems.map(({ os, image: { digest, kernelVersion, rootPartition } }) => ({
    os,
    imageDigest: digest,
    kernelVersion,
    rootPartition,
  }));
  const actions: Record<(typeof provisioningTasks)[number], Action> = {
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
  return provisioningTasks.map((task, index) => {
    const before = provisioningTasks[index - 1];
    return planStep({
      node: place.node,
      task,
      requires: before ? [`${place.node}/${before}`] : [],
      action: { kind: actions[task] },
      timeout: { seconds: timeoutSeconds[task] },
    });
  });
}

/** The NIC it boots from: the declared one, else the first that has link. */
function bootMac({ spec, inventory, fingerprint }: Node): string {
  const linked = inventory?.nics.find(({ link }) => link);
  return spec?.macs[0] ?? linked?.mac ?? fingerprint?.macs[0] ?? "";
}

function configSteps(
  cluster: Cluster,
  members: Member[],
  tasks: TaskSpec[],
  faults: PlanFault[],
): PlannedStep[] {
  const runs = (task: TaskSpec, role: string) => task.roles.includes("*") || task.roles.includes(role);
  const used = tasks.filter((task) => members.some(({ place }) => runs(task, place.role)));
  const steps: PlannedStep[] = [];
  for (const task of used) {
    for (const { place, role } of members) {
      if (!runs(task, place.role)) continue;
      const requires = [`${place.node}/reboot`];
      for (const name of task.requires) {
        const required = used.find((other) => other.name === name);
        if (required && runs(required, place.role)) requires.push(`${place.node}/${name}`);
        else faults.push({ node: place.node, message: missing(task, name, place.role, used) });
      }
      for (const { task: name, role: wanted } of task.crossDepends) {
        const others = members.filter(({ place: { role } }) => wanted === "*" || role === wanted);
        const required = used.find((other) => other.name === name);
        const ids = others
          .filter(({ place: other }) => required && runs(required, other.role) && other !== place)
          .map(({ place: other }) => `${other.node}/${name}`);
        if (ids.length) requires.push(...ids);
        else faults.push({ node: place.node, message: missing(task, name, wanted, used) });
      }
      const step = planStep({
        node: place.node,
        task: task.name,
        requires: [...new Set(requires)],
        action: { kind: configAction(cluster, task, place, role) },
        timeout: task.timeout ?? { seconds: timeoutSeconds.config },
        retries: task.retries,
        hold: task.hold,
      });
      steps.push(step);
    }
  }
  return steps;
}

function missing(task: TaskSpec, name: string, role: string, tasks: TaskSpec[]): string {
  const hint = suggest(
    name,
    tasks.map((other) => other.name),
  );
  return `task ${task.name} waits for ${name} on ${role}, but no node of this cluster runs that${hint}`;
}

function configAction(cluster: Cluster, { action }: TaskSpec, place: ClusterNode, role: RoleSpec): Action {
  switch (action.case) {
    case "shell": {
      const settings = Object.entries(cluster.spec?.settings ?? {});
      return {
        case: "shell",
        value: {
          command: action.value.command,
          environment: {
            MUSTER_CLUSTER: cluster.name,
            MUSTER_NODE: place.node,
            MUSTER_ROLE: role.name,
            ...Object.fromEntries(
              settings.map(([key, value]) => [`MUSTER_SETTING_${key.toUpperCase()}`, value]),
            ),
          },
        },
      };
    }
    case "uploadFile":
      return { case: "uploadFile", value: action.value };
    case "puppet":
      return { case: "puppet", value: action.value };
    default:
      throw new Error("a task without an action passed the manifest check");
  }
}

function suggest(word: string, candidates: Iterable<string>): string {
  const near = nearest(word, [...candidates]);
  return near ? `; did you mean ${near}?` : "";
}
