// A small cluster for tests of plans: an image, two machines of two disks each, and manifests.
import { create } from "@bufbuild/protobuf";
import { ImageSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { Firmware_Mode } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { Node_State, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { decodeManifests, formatFault } from "../../proto/manifest/decode.ts";
import { applyManifests, checkManifests } from "./manifests.ts";
import { put, State } from "./state.ts";

export const manifests = `
kind: Scheme
name: raid1-lvm
disks: [{id: system, count: 2}]
parteds:
  - disks: system
    partitions:
      - {name: bios, size: 1 MiB, flags: [bios_grub]}
      - {name: os, size: remaining, flags: [raid]}
mds: [{name: os, level: 1, devices: [partition/os]}]
vgs: [{name: vg0, devices: [md/os]}]
lvs: [{name: root, vg: vg0, size: 3 GiB}]
fss: [{device: lv/vg0/root, type: ext4, mount: /}]
---
{kind: Role, name: controller, image: debian, scheme: raid1-lvm}
---
{kind: Role, name: compute, image: debian, scheme: raid1-lvm}
---
kind: Cluster
name: demo
nodes:
  - {node: n1, role: controller, hostname: ctl1}
  - {node: n2, role: compute}
settings: {color: blue}
---
{kind: Task, name: install, roles: [controller], shell: {command: "true"}}
---
{kind: Task, name: announce, roles: [controller], requires: [install], shell: {command: "true"}, timeout: 30s, retries: 2}
---
{kind: Task, name: join, roles: [compute], cross_depends: [{task: announce, role: controller}], shell: {command: "true"}}
`;

/** The machines n1 and n2 are known, and nothing is applied. */
export function planState(): State {
  const state = new State();
  state.apply(put({ case: "image", value: image({}) }));
  for (const name of ["n1", "n2"]) state.apply(put({ case: "node", value: node(name, 2) }));
  return state;
}

export function image(fields: { firmware?: string[]; sizeBytes?: bigint }) {
  return create(ImageSchema, {
    name: "debian",
    digest: "d".repeat(64),
    sizeBytes: 1n << 30n,
    firmware: ["bios", "uefi"],
    kernelVersion: "6.1",
    ...fields,
  });
}

export function node(name: string, diskCount: number, mode: Firmware_Mode = Firmware_Mode.BIOS) {
  const disks = Array.from({ length: diskCount }, (_, i) => ({
    name: `vd${"abc"[i]}`,
    serial: `${name.toUpperCase()}${"ABC"[i]}`,
    sizeBytes: 6n << 30n,
    logicalSectorBytes: 512,
    physicalSectorBytes: 512,
  }));
  return create(NodeSchema, {
    name,
    state: Node_State.AVAILABLE,
    inventory: { disks, firmware: { mode }, nics: [{ name: "eth0", mac: "52:54:00:00:00:01", link: true }] },
  });
}

/** The faults, as an operator sees them; nothing is applied if there are any. */
export function applyTo(state: State, content: string): string[] {
  const { documents, faults } = decodeManifests([{ path: "demo.yaml", content }]);
  const all = [...faults, ...(faults.length ? [] : checkManifests(state, documents))];
  if (!all.length) for (const change of applyManifests(state, documents).changes) state.apply(change);
  return all.map(formatFault);
}
