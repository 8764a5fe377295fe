// What the simulated cluster is to become: manifests for the real planner, with config tasks that wait for each
// other across nodes.
import { create } from "@bufbuild/protobuf";
import type { Decision } from "../../daemon/domain/decision.ts";
import { applyManifests, checkManifests } from "../../daemon/domain/manifests.ts";
import { ImageSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { Firmware_Mode, type Inventory, InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { decodeManifests, formatFault } from "../../proto/manifest/decode.ts";
import type { Machine } from "./machine.ts";

/** What is built before anything else is declared. */
export const image = create(ImageSchema, {
  name: "debian",
  digest: "d".repeat(64),
  sizeBytes: 1n << 30n,
  firmware: ["bios", "uefi"],
  kernelVersion: "6.1",
});

const scheme = `
kind: Scheme
name: plain
disks: [{id: system, count: 1}]
parteds:
  - disks: system
    partitions:
      - {name: bios, size: 1 MiB, flags: [bios_grub]}
      - {name: root, size: remaining}
fss: [{device: partition/root, type: ext4, mount: /}]
---
{kind: Role, name: first, image: debian, scheme: plain}
---
{kind: Role, name: other, image: debian, scheme: plain, fault_tolerance: "50%"}
`;

/**
 * The first node is prepared, the others join it, and then the first one is told that all are there. `version`:
 * the config task `watch` changes with it, and nothing else does but what refreshes on it.
 */
export function clusterManifests(nodes: string[], retries: number, version: number): string {
  const [first = "", ...others] = nodes;
  const all = "first, other";
  const documents = [
    scheme,
    `---\nkind: Cluster\nname: demo\nnodes:`,
    ...nodes.map((node) => `  - {node: ${node}, role: ${node === first ? "first" : "other"}}`),
    task("prepare", all, "", retries),
    task("watch", all, "strategy: {type: parallel, amount: 2}", retries, `watch ${version}`),
    task("reload", all, "requires: [watch], refresh_on: [watch]", retries),
    task("roll", all, "requires: [prepare], strategy: {type: one_by_one}, fail_on_error: false", retries),
    task("maybe", all, "stage: post_deployment, condition: \"changed('watch')\"", retries),
    ...(others.length
      ? [
          task(
            "join",
            "other",
            "requires: [prepare], cross_depends: [{task: prepare, role: first}]",
            retries,
          ),
          task("kernel", "other", "requires: [join]", retries, undefined, "reboot: {}"),
          task("one", "first", "cross_depends: [{task: join, role: other, policy: any}]", retries),
        ]
      : []),
    task(
      "finish",
      "first",
      `requires: [prepare]${others.length ? ", cross_depends: [{task: join, role: other}]" : ""}`,
      retries,
    ),
  ];
  return documents.join("\n");
}

function task(
  name: string,
  roles: string,
  fields: string,
  retries: number,
  command = name,
  action = `shell: {command: "${command}"}`,
): string {
  const more = fields ? `${fields}, ` : "";
  return `---\n{kind: Task, name: ${name}, roles: [${roles}], ${more}retries: ${retries}, ${action}}`;
}

export function nodeManifests(machines: Iterable<Machine>): string {
  return [...machines]
    .map(({ name, mac, hasDriver }) => {
      const power = hasDriver ? `, power: {qmp: {socket: ${name}, disks: [a], nic: b}}` : "";
      return `---\n{kind: Node, name: ${name}, macs: ["${mac}"]${power}}`;
    })
    .join("\n");
}

export function applyText(decision: Decision, content: string): void {
  const { state } = decision;
  const { documents, faults } = decodeManifests([{ path: "demo.yaml", content }]);
  const all = [...faults, ...(faults.length ? [] : checkManifests(state, documents))];
  if (all.length) throw new Error(all.map(formatFault).join("\n"));
  decision.change(...applyManifests(state, documents).changes);
}

export function inventoryOf({ name, mac }: Machine): Inventory {
  const disk = { name: "vda", serial: `DISK-${name}`, sizeBytes: 6n << 30n };
  return create(InventorySchema, {
    disks: [{ ...disk, logicalSectorBytes: 512, physicalSectorBytes: 512 }],
    firmware: { mode: Firmware_Mode.BIOS },
    nics: [{ name: "eth0", mac, link: true }],
  });
}

/** The steps of the cluster that agents do, in any order. */
export function agentSteps(nodes: string[]): string[] {
  const provisioning = ["partition", "image", "seed", "bootloader", "reboot"];
  const everywhere = [...provisioning, "prepare", "watch", "reload", "roll", "maybe"];
  return nodes.flatMap((node, index) =>
    [...everywhere, ...(index ? ["join", "kernel"] : ["finish", "one"])].map((name) => `${node}/${name}`),
  );
}
