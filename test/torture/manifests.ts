// What the tortured daemon is told to deploy: clusters whose tasks wait for each other across nodes.
import { imageName } from "./image.ts";
import type { Machine } from "./machine.ts";

/** Nodes, and clusters of `clusterSize` of them, in order. */
export function manifests(
  machines: readonly Machine[],
  clusterSize: number,
): { text: string; clusters: string[] } {
  const clusters: string[] = [];
  const documents = [roles, tasks, ...machines.map(nodeDocument)];
  for (let first = 0; first < machines.length; first += clusterSize) {
    const name = `c${clusters.length + 1}`;
    const members = machines.slice(first, first + clusterSize);
    const nodes = members.map(
      (machine, i) => `  - { node: ${machine.name}, role: ${i ? "worker" : "head"} }`,
    );
    documents.push(`kind: Cluster\nname: ${name}\nnodes:\n${nodes.join("\n")}\n`);
    clusters.push(name);
  }
  return { text: documents.join("---\n"), clusters };
}

/** A document that no deployment uses, with a text of the operator's in it. */
export function noteManifest(name: string, text: string): string {
  return `kind: Task\nname: ${name}\nroles: [nobody]\nshell: { command: "echo ${text}" }\n`;
}

function nodeDocument({ name, mac, qmpSocket }: Machine): string {
  const power = `power: { qmp: { socket: ${qmpSocket}, nic: nic0, disks: [disk0] } }`;
  return `kind: Node\nname: ${name}\nmacs: ["${mac}"]\n${power}\n`;
}

const roles = `kind: Role
name: head
image: ${imageName}
scheme: one-disk
---
kind: Role
name: worker
image: ${imageName}
scheme: one-disk
---
kind: Role
name: nobody
image: ${imageName}
scheme: one-disk
---
kind: Scheme
name: one-disk
disks:
  - { id: system, hints: { size: ">= 4" } }
parteds:
  - disks: system
    partitions:
      - { name: bios, size: 1 MiB, flags: [bios_grub] }
      - { name: root, size: remaining }
fss:
  - { device: partition/root, type: ext4, mount: / }
`;

const tasks = `kind: Task
name: prepare
roles: ["*"]
retries: 2
shell: { command: prepare }
---
kind: Task
name: open
roles: [head]
requires: [prepare]
puppet: { manifest: "notify { 'open': }" }
---
kind: Task
name: join
roles: [worker]
requires: [prepare]
cross_depends:
  - { task: open, role: head }
upload_file: { path: /etc/joined, content: joined }
retries: 2
`;
