// Whether a deployed cluster is what its plan says: from what the agents proved, what the consoles show, and
// the times and logs of the steps. Pure; an empty list means that everything is right.
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { NodePlan, Plan, Step } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, type Node, Node_State } from "../../proto/gen/muster/v1/node_pb.ts";

export type Evidence = {
  plan: Plan;
  nodes: Node[];
  steps: Step[];
  /** Of each node's ramdisk, by node. */
  bootstrapBootIds: ReadonlyMap<string, string>;
  /** What each machine has written to its serial port, by node. */
  consoles: ReadonlyMap<string, string>;
};

export function findFaults(evidence: Evidence): string[] {
  const { plan, nodes, consoles } = evidence;
  const faults = plan.nodes.flatMap((planned) => {
    const node = nodes.find(({ name }) => name === planned.node);
    if (!node) return [`${planned.node}: the daemon does not know it`];
    return [
      ...stateFaults(node, evidence.bootstrapBootIds.get(node.name)),
      ...systemFaults(planned, node),
      ...consoleFaults(planned, consoles.get(node.name) ?? ""),
    ];
  });
  return [...faults, ...orderFaults(plan, evidence.steps)];
}

function stateFaults(node: Node, bootstrapBootId: string | undefined): string[] {
  const faults: string[] = [];
  if (node.state !== Node_State.READY)
    faults.push(`${node.name}: is not READY (state ${node.state}): ${node.reason}`);
  if (!node.online) faults.push(`${node.name}: its agent is not connected`);
  if (node.environment !== Environment.INSTALLED)
    faults.push(`${node.name}: does not run its installed system`);
  if (node.bootId === bootstrapBootId) faults.push(`${node.name}: still runs the boot of its ramdisk`);
  return faults;
}

function systemFaults(planned: NodePlan, node: Node): string[] {
  const system = node.installed;
  if (!system) return [`${node.name}: its installed agent has proved nothing`];
  const expect = (what: string, found: string, wanted: string) =>
    found === wanted ? [] : [`${node.name}: ${what} is ${found || "unknown"}, planned is ${wanted}`];
  const arrays = (planned.disks?.mds ?? []).filter(
    ({ name, level }) => !system.arrays.some((line) => isWhole(line, `${name} raid${level}`)),
  );
  return [
    ...expect("host name", system.hostname, planned.hostname),
    ...expect("root device", system.rootDevice, planned.disks?.kernelRoot ?? ""),
    ...expect("image digest", system.imageDigest, planned.imageDigest),
    ...arrays.map(
      ({ name }) => `${node.name}: array ${name} is not whole: ${system.arrays.join(", ") || "none"}`,
    ),
  ];
}

/** All members up: "os raid1 [2/2] [UU]". */
function isWhole(line: string, start: string): boolean {
  return line.startsWith(start) && /\[U+\]/.test(line);
}

/** The login prompt comes from the installed system itself, not from the agent. */
function consoleFaults({ node, hostname }: NodePlan, console: string): string[] {
  return console.includes(`${hostname} login:`) ? [] : [`${node}: its console shows no "${hostname} login:"`];
}

/** No step may have started before all that it requires had ended. */
function orderFaults(plan: Plan, steps: Step[]): string[] {
  const byId = new Map(steps.map((step) => [`${step.node}/${step.task}`, step]));
  return plan.steps.flatMap(({ id, requires }) => {
    const start = byId.get(id)?.startTime;
    if (!start) return [`${id}: never started`];
    return requires.flatMap((before) => {
      const end = byId.get(before)?.endTime;
      if (!end) return [`${id}: started although ${before} has not ended`];
      const early = timestampMs(end) - timestampMs(start);
      return early > 0 ? [`${id}: started ${early} ms before ${before} had ended`] : [];
    });
  });
}
