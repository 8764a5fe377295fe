// `muster describe`: everything about one thing, for people.
import { toJson } from "@bufbuild/protobuf";
import { stringify } from "yaml";
import { type Deployment, Purpose, type Step } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Image } from "../../proto/gen/muster/v1/image_pb.ts";
import type { Disk, Inventory } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { Firmware_Mode } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { ManifestSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { painter } from "../ansi.ts";
import type { Operator } from "../client.ts";
import { erasureLines } from "../erase-text.ts";
import { exitCode } from "../errors.ts";
import { clean, dateTime, elapsed, formatBytes, timeMs } from "../format.ts";
import type { Io } from "../io.ts";
import { stepsTaken } from "../model.ts";
import { allPages } from "../pages.ts";
import { leftOutLines, termLines } from "../plan-tasks.ts";
import { stepTable } from "../step-table.ts";
import type { ChangeLine } from "../task-changes.ts";
import { facts, indent, table } from "../text-table.ts";
import {
  bootTargetWord,
  deploymentState,
  environmentWord,
  flagText,
  imageKind,
  nodeState,
  powerWord,
} from "../words.ts";
import { stepLines } from "./describe-step.ts";
import type { Kind } from "./get.ts";

export async function describe(operator: Operator, io: Io, kind: Kind, name: string): Promise<number> {
  const paint = painter(io);
  for (const line of await describeLines(operator, kind, name, io.now())) {
    if (typeof line === "string") io.out(line);
    else io.out(paint(line.text, line.tone));
  }
  return exitCode.ok;
}

async function describeLines(
  operator: Operator,
  kind: Kind,
  name: string,
  now: number,
): Promise<(string | ChangeLine)[]> {
  if (kind === "nodes") {
    const { node } = await operator.nodes.getNode({ name });
    return node ? nodeLines(node) : [];
  }
  if (kind === "images") {
    const { image } = await operator.images.getImage({ name });
    return image ? imageLines(image) : [];
  }
  if (kind === "clusters") return clusterLines(operator, name, now);
  if (kind === "steps") return stepLines(operator, name, now);
  if (kind !== "deployments") return documentLines(operator, `${kind.slice(0, -1)}/${name}`);
  const { deployment, steps } = await operator.deployments.getDeployment({ name });
  return deployment ? deploymentLines(deployment, steps, now) : [];
}

export function nodeLines(node: Node): string[] {
  const seen = timeMs(node.lastSeenTime);
  const lines = facts([
    ["Node", node.name],
    ["State", nodeState(node.state).word],
    ["Reason", clean(node.reason)],
    ["Set", clean(flagText(node))],
    ...node.faults.map(({ message }): [string, string] => ["Fault", clean(message)]),
    ["Approval code", node.approvalCode],
    ["Cluster", node.cluster && `${node.cluster}, role ${node.role}, host name ${node.hostname}`],
    [
      "Agent",
      node.online ? `online, ${environmentWord(node.environment)} ${node.agentVersion}` : "not connected",
    ],
    ["Last seen", seen === undefined ? "never" : dateTime(seen)],
    ["Address", node.address],
    ["Power", powerWord(node.power)],
    ["Boots from", bootTargetWord(node.bootTarget)],
    ["Boot id", node.bootId],
    ["UUID", node.fingerprint?.systemUuid],
    ["MACs", node.fingerprint?.macs.join(", ") || node.spec?.macs.join(", ")],
  ]);
  if (node.installed) {
    const { installed } = node;
    lines.push("", "Installed system");
    const proof = facts([
      ["Host name", clean(installed.hostname)],
      ["Root device", installed.rootDevice],
      ["Image", `sha256 ${installed.imageDigest}`],
      ["Arrays", installed.arrays.map(clean).join("; ")],
    ]);
    lines.push(...indent(proof));
  }
  if (node.inventory) lines.push("", "Hardware", ...indent(hardwareLines(node.inventory)));
  return lines;
}

export function hardwareLines(inventory: Inventory): string[] {
  const { system, cpu, firmware } = inventory;
  const mode =
    firmware?.mode === Firmware_Mode.UEFI ? "UEFI" : firmware?.mode === Firmware_Mode.BIOS ? "BIOS" : "";
  const lines = facts([
    ["System", system && clean(`${system.manufacturer} ${system.product} ${system.serial}`.trim())],
    ["CPU", cpu && `${clean(cpu.model)}, ${cpu.sockets} × ${cpu.cores} cores, ${cpu.threads} threads`],
    ["Memory", formatBytes(inventory.memoryBytes)],
    [
      "Firmware",
      [mode, clean(firmware?.vendor ?? ""), clean(firmware?.version ?? "")].filter(Boolean).join(" "),
    ],
  ]);
  for (const nic of inventory.nics) {
    const speed = nic.speedMbps ? `${nic.speedMbps} Mbit/s` : "";
    const facts = [
      nic.permanentMac || nic.mac,
      nic.driver,
      speed,
      nic.link ? "link up" : "no link",
      ...nic.addresses,
    ];
    lines.push(`nic ${nic.name}  ${facts.filter(Boolean).join("  ")}`);
  }
  for (const disk of inventory.disks) lines.push(...diskLines(disk));
  return lines;
}

export function diskLines(disk: Disk): string[] {
  const id = disk.serial ? `serial ${clean(disk.serial)}` : disk.wwn && `wwn ${clean(disk.wwn)}`;
  const kind = [disk.tran, disk.rotational ? "rotational" : "solid state", disk.removable && "removable"];
  const facts = [formatBytes(disk.sizeBytes), clean(disk.model), id, kind.filter(Boolean).join(" ")];
  const contents = disk.contents.map((content) => {
    const mounts = content.mountPoints.length ? `on ${content.mountPoints.join(", ")}` : "";
    const words = [
      content.type,
      formatBytes(content.sizeBytes),
      content.fsType,
      clean(content.label),
      mounts,
    ];
    return `  ${content.name}  ${words.filter(Boolean).join("  ")}`;
  });
  return [
    `disk ${disk.name}  ${facts.filter(Boolean).join("  ")}`,
    ...(contents.length ? contents : ["  empty"]),
  ];
}

export function imageLines(image: Image): string[] {
  const built = timeMs(image.buildTime);
  return facts([
    ["Image", image.name],
    ["Version", image.version],
    ["Kind", imageKind(image.kind)],
    ["SHA-256", image.digest],
    ["Formerly", image.formerDigests.join(", ")],
    ["Built", built === undefined ? "" : dateTime(built)],
    ["Size", `${formatBytes(image.sizeBytes)}, ${formatBytes(image.contentBytes)} of it used`],
    ["Stored", `${formatBytes(image.storedBytes)} in ${image.chunkCount} chunks`],
    ["File system", image.filesystem],
    ["Firmware", image.firmware.join(", ")],
    ["Kernel", image.kernelVersion],
  ]);
}

/** The stored manifest as it could be applied again. */
async function documentLines({ clusters }: Operator, name: string): Promise<string[]> {
  const { document } = await clusters.getDocument({ name });
  if (!document?.manifest) return [];
  return stringify(toJson(ManifestSchema, document.manifest)).trimEnd().split("\n").map(clean);
}

async function clusterLines(operator: Operator, name: string, now: number): Promise<string[]> {
  const { cluster } = await operator.clusters.getCluster({ name });
  if (!cluster) return [];
  const lines = facts([
    ["Cluster", cluster.name],
    ["Domain", cluster.spec?.domain],
    ["Deployment", cluster.deployment || "never deployed"],
  ]);
  const nodes = await allPages(
    (request) => operator.nodes.listNodes(request),
    (page) => page.nodes,
  );
  const rows = (cluster.spec?.nodes ?? []).map((member) => {
    const node = nodes.find((candidate) => candidate.name === member.node);
    const state = node ? nodeState(node.state).word : "not known yet";
    return [member.node, member.role, member.hostname || member.node, state, clean(node?.reason ?? "")];
  });
  lines.push("", ...table(["NODE", "ROLE", "HOST NAME", "STATE", "REASON"], rows));
  const settings = Object.entries(cluster.spec?.settings ?? {});
  if (settings.length) lines.push("", "Settings", ...indent(facts(settings)));
  if (!cluster.deployment) return lines;
  const run = await operator.deployments.getDeployment({ name: cluster.deployment });
  return run.deployment ? [...lines, "", ...deploymentLines(run.deployment, run.steps, now)] : lines;
}

function purposeWord({ purpose }: Deployment): string {
  if (purpose === Purpose.RELEASE) return "setting nodes free";
  return purpose === Purpose.CHECK ? "seeing what would change; it changes nothing" : "";
}

function deploymentLines(deployment: Deployment, steps: Step[], now: number): string[] {
  const start = timeMs(deployment.startTime);
  const graph = deployment.plan?.graph;
  const lines = facts([
    ["Deployment", deployment.name],
    ["Cluster", deployment.cluster],
    ["State", deploymentState(deployment.state).word],
    ["Reason", clean(deployment.reason)],
    ["Started", start === undefined ? "" : dateTime(start)],
    ["Took", elapsed(deployment.startTime, deployment.endTime, now)],
    ["For", purposeWord(deployment)],
    ["Graph", graph === "default" ? "" : graph],
    ["Plan", deployment.plan?.hash],
  ]);
  const erased = erasureLines(
    steps.map(({ node, task, erasures }) => ({ step: `${node}/${task}`, erasures })),
  );
  const { plan } = deployment;
  const terms = plan ? [...leftOutLines(plan), ...termLines(plan)].map(({ text }) => text) : [];
  lines.push(...terms, "", ...stepTable(stepsTaken(deployment, steps), deployment, now));
  return erased.length ? [...lines, "", ...erased] : lines;
}
