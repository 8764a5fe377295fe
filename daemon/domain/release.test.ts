import { beforeEach, describe, expect, it } from "vitest";
import { type Plan, Purpose, Scope } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { begin, succeed } from "./attempt.ts";
import { Decision } from "./decision.ts";
import { startDeployment } from "./deploy.ts";
import { type PlanOptions, planCluster } from "./plan.ts";
import { applyTo, manifests, planState } from "./plan-fixture.ts";
import { usersOf } from "./removal.ts";
import { put, type State } from "./state.ts";

let state: State;
beforeEach(() => {
  state = planState();
  expect(applyTo(state, manifests)).toEqual([]);
});

function demo() {
  const cluster = state.clusters.get("demo");
  if (!cluster) throw new Error("no cluster");
  return cluster;
}

function planned(options: PlanOptions): Plan {
  const result = planCluster(state, demo(), options);
  if ("faults" in result) throw new Error(JSON.stringify(result.faults));
  return result.plan;
}

function faults(options: PlanOptions): string[] {
  const result = planCluster(state, demo(), options);
  return "faults" in result ? result.faults.map(({ node, message }) => `${node}: ${message}`) : [];
}

function set(name: string, fields: Partial<Node>): void {
  const node = state.nodes.get(name);
  if (node) state.apply(put({ case: "node", value: { ...node, ...fields } }));
}

/** Everything succeeds at once. */
function deploy(options: PlanOptions = {}): void {
  const decision = new Decision(state, 1_000, 1n);
  const { name } = startDeployment(decision, demo(), planned(options));
  for (const step of state.steps(name)) {
    const node = state.nodes.get(step.node);
    if (node)
      succeed(decision, begin(decision, node, step, step.task === "wipe" ? "clean" : "provision"), "done");
  }
}

describe("a release", () => {
  const release = { purpose: Purpose.RELEASE };

  it("takes a node back into the ramdisk and wipes exactly the disks that were written", () => {
    deploy();
    const n1 = state.nodes.get("n1");
    const third = { ...n1?.inventory?.disks[0], name: "vdc", serial: "FOREIGN" };
    const disks = [...(n1?.inventory?.disks ?? []), third];
    set("n1", { inventory: { ...n1?.inventory, disks } as Node["inventory"] });
    const plan = planned({ ...release, nodes: ["n1"] });
    expect(plan.steps.map(({ id, requires }) => [id, requires])).toEqual([
      ["n1/bootstrap", []],
      ["n1/wipe", ["n1/bootstrap"]],
    ]);
    const wipe = plan.steps[1]?.action?.kind;
    const serials = wipe?.case === "wipe" ? wipe.value.disks.map(({ serial }) => serial) : [];
    expect(serials).toEqual(["N1A", "N1B"]);
    expect(plan.nodes[0]?.disks?.disks.map(({ partitions }) => partitions)).toEqual([[], []]);
  });

  it("sets the node free, which may be deployed again then", () => {
    deploy();
    deploy({ ...release, nodes: ["n1"] });
    expect(state.nodes.get("n1")).toMatchObject({ cluster: "", role: "", hostname: "" });
    expect(state.nodes.get("n2")).toMatchObject({ cluster: "demo", role: "compute" });
    const again = planned({}).steps.filter(({ unchangedSince }) => !unchangedSince);
    expect(again.some(({ node }) => node === "n2")).toBe(false);
    expect(again.map(({ id }) => id)).toContain("n1/partition");
  });

  it("is of all nodes of the cluster if none is named", () => {
    deploy();
    expect(planned(release).nodes.map(({ node }) => node)).toEqual(["n1", "n2"]);
  });

  it("is refused for nodes that are not deployed, not there, protected or in maintenance", () => {
    expect(faults(release)).toEqual([": no node is deployed with cluster demo"]);
    expect(faults({ ...release, nodes: ["n1", "n9"] })).toEqual([
      "n1: it is not deployed: it is free already",
      "n9: there is no node of that name",
    ]);
    deploy();
    set("n1", { protected: true });
    set("n2", { maintenance: true });
    expect(faults(release)).toEqual([
      expect.stringMatching(/^n1: it is protected: `muster protect n1 off`/),
      expect.stringMatching(/^n2: it is in maintenance: `muster maintenance n2 off`/),
    ]);
  });

  it("is allowed for a retired node", () => {
    deploy();
    set("n1", { retired: true });
    expect(planned({ ...release, nodes: ["n1"] }).steps).toHaveLength(2);
  });
});

describe("the operator's flags", () => {
  it("keep a protected or retired node from being provisioned, not from being configured", () => {
    set("n1", { protected: true });
    set("n2", { retired: true });
    expect(faults({})).toEqual([
      expect.stringMatching(/^n1: it is protected/),
      expect.stringMatching(/^n2: it is retired/),
    ]);
    for (const name of ["n1", "n2"]) set(name, { protected: false, retired: false });
    deploy();
    for (const name of ["n1", "n2"]) set(name, { protected: true, retired: true });
    applyTo(state, '{kind: Task, name: new, roles: ["*"], shell: {command: "true"}}');
    const work = planned({}).steps.filter(({ unchangedSince }) => !unchangedSince);
    expect(work.map(({ id }) => id)).toEqual(["n1/new", "n2/new"]);
    expect(faults({ scope: Scope.ALL })).toHaveLength(4);
  });
});

describe("what is in use", () => {
  it("is named with its users, and the rest may go", () => {
    const users = (name: string) => usersOf(state, name);
    expect(users("node/n1")).toEqual(["cluster/demo"]);
    expect(users("role/compute")).toEqual(["cluster/demo", "task/join"]);
    expect(users("scheme/raid1-lvm")).toEqual(["role/controller", "role/compute"]);
    expect(users("image/debian")).toEqual(["role/controller", "role/compute"]);
    expect(users("task/install")).toEqual(["task/announce"]);
    expect(users("task/join")).toEqual([]);
    expect(users("cluster/demo")).toEqual([]);
    const decision = new Decision(state, 1_000, 1n);
    startDeployment(decision, demo(), planned({}));
    expect(users("cluster/demo")).toEqual(["deployment/demo-1"]);
    expect(users("node/n1")).toEqual(["cluster/demo", "deployment/demo-1"]);
  });
});
