// A cluster of any number of nodes for tests of how tasks are planned.
import { create } from "@bufbuild/protobuf";
import { type Plan, type PlannedStep, TaskRecordSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment } from "../../proto/gen/muster/v1/node_pb.ts";
import { type PlanOptions, planCluster } from "./plan.ts";
import { applyTo, image, node } from "./plan-fixture.ts";
import { put, State } from "./state.ts";
import { isProvisioning } from "./tasks.ts";

const base = `
kind: Scheme
name: plain
disks: [{id: system}]
parteds:
  - disks: system
    partitions:
      - {name: bios, size: 1 MiB, flags: [bios_grub]}
      - {name: root, size: remaining}
fss: [{device: partition/root, type: ext4, mount: /}]
`;

export class TaskWorld {
  readonly state = new State();

  /** `roles`: of n1, n2, ... */
  constructor(roles: readonly string[]) {
    this.state.apply(put({ case: "image", value: image({}) }));
    roles.forEach((_, i) => {
      this.state.apply(put({ case: "node", value: node(`n${i + 1}`, 1) }));
    });
    const declared = [...new Set(roles)].map(
      (name) => `{kind: Role, name: ${name}, image: debian, scheme: plain}`,
    );
    this.apply([base, ...declared].join("\n---\n"));
    this.cluster(roles);
  }

  /** Gives the cluster these nodes; machines that are not known yet are added. */
  cluster(roles: readonly string[], more = ""): void {
    roles.forEach((_, i) => {
      if (!this.state.nodes.has(`n${i + 1}`))
        this.state.apply(put({ case: "node", value: node(`n${i + 1}`, 1) }));
    });
    const nodes = roles.map((role, i) => `{node: n${i + 1}, role: ${role}}`);
    this.apply(`{kind: Cluster, name: demo, nodes: [${nodes.join(", ")}]${more}}`);
  }

  /** Throws with the faults, as an operator sees them. */
  apply(content: string): void {
    const faults = applyTo(this.state, content);
    if (faults.length) throw new Error(faults.join("\n"));
  }

  /** Tasks in short: `name: {fields}`, one a line; without an action they do nothing. */
  tasks(...lines: string[]): void {
    this.apply(lines.map((line) => task(line)).join("\n---\n"));
  }

  planned(options: PlanOptions = {}): ReturnType<typeof planCluster> {
    const cluster = this.state.clusters.get("demo");
    if (!cluster) throw new Error("there is no cluster");
    return planCluster(this.state, cluster, options);
  }

  plan(options: PlanOptions = {}): Plan {
    const planned = this.planned(options);
    if ("faults" in planned) throw new Error(JSON.stringify(planned.faults));
    return planned.plan;
  }

  faults(options: PlanOptions = {}): string[] {
    const planned = this.planned(options);
    return "faults" in planned
      ? planned.faults.map(({ node, message }) => (node ? `${node}: ${message}` : message))
      : [];
  }

  /** As if a deployment had done all of the plan that was to be done. */
  done(plan: Plan, deployment = "demo-1"): void {
    for (const { id, node, task, digest, unchangedSince, skippedBecause } of plan.steps) {
      if (unchangedSince || skippedBecause || node === "_") continue;
      const value = create(TaskRecordSchema, { name: id, node, task, digest, deployment });
      this.state.apply(put({ case: "taskRecord", value }));
    }
    for (const { node: name, role, hostname } of plan.nodes) {
      const known = this.state.nodes.get(name);
      if (!known) continue;
      const place = { cluster: "demo", role, hostname, online: true, environment: Environment.INSTALLED };
      this.state.apply(put({ case: "node", value: { ...known, ...place } }));
    }
  }
}

export function task(line: string): string {
  const [, name = "", fields = ""] = /^([\w-]+): \{(.*)\}$/s.exec(line) ?? [];
  const hasAction = /\b(shell|upload_file|template|puppet|ansible|noop|package|reboot)\b: *\{/.test(fields);
  return `{kind: Task, name: ${name}, ${fields}${hasAction ? "" : ", noop: {}"}}`;
}

export function stepOf(plan: Plan, id: string): PlannedStep {
  const found = plan.steps.find((step) => step.id === id);
  if (!found) throw new Error(`the plan has no step ${id}: ${plan.steps.map((step) => step.id).join(" ")}`);
  return found;
}

/** What a step requires, without its node's provisioning. */
export function requires(plan: Plan, id: string): string[] {
  return stepOf(plan, id).requires.filter((required) => !required.endsWith("/reboot"));
}

/** Ids of the config steps and joins that are done, in order. */
export function live(plan: Plan): string[] {
  return plan.steps
    .filter(
      ({ task, unchangedSince, skippedBecause }) =>
        !isProvisioning(task) && !unchangedSince && !skippedBecause,
    )
    .map(({ id }) => id);
}
