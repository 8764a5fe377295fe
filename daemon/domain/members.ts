// A cluster's node with everything that its place refers to: its role, its disks as they shall be, its images.
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Image } from "../../proto/gen/muster/v1/image_pb.ts";
import { Firmware_Mode } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { ClusterNode, RoleSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { nearest } from "../../proto/manifest/suggest.ts";
import { wholeDiskOf } from "../../proto/plan/whole-disk.ts";
import { canStart } from "./boot-disk.ts";
import { planDisks } from "./disk-plan.ts";
import { type NodeImages, placeImages } from "./image-targets.ts";
import { secretFaults } from "./secret-use.ts";
import type { State } from "./state.ts";

/** One node with everything that its place in the cluster refers to. */
export type Member = {
  place: ClusterNode;
  node: Node;
  role: RoleSpec;
  /** That of `/`; of the first operating system if there are several. */
  image: Image;
  images: NodeImages;
  disks: DiskPlan;
  hostname: string;
};

export function resolveMember(
  state: State,
  cluster: Cluster,
  place: ClusterNode,
): Member | { faults: string[] } {
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

function suggest(word: string, candidates: Iterable<string>): string {
  const near = nearest(word, [...candidates]);
  return near ? `; did you mean ${near}?` : "";
}
