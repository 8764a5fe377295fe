import { create } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { Firmware_Mode } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { planCluster } from "./plan.ts";
import { applyTo, image, manifests, node, planState } from "./plan-fixture.ts";
import { put, type State } from "./state.ts";

let state: State;
const apply = (content: string) => applyTo(state, content);
beforeEach(() => {
  state = planState();
});

function plan() {
  const cluster = state.clusters.get("demo");
  if (!cluster) throw new Error("no cluster");
  return planCluster(state, cluster);
}

function faults(): string[] {
  const result = plan();
  return "faults" in result ? result.faults.map(({ node, message }) => `${node}: ${message}`) : [];
}

describe("a plan", () => {
  it("has every node's disks and the whole graph in an order that can run", () => {
    expect(apply(manifests)).toEqual([]);
    const result = plan();
    if (!("plan" in result)) throw new Error(JSON.stringify(result.faults));
    expect(result.plan.nodes.map(({ node, hostname }) => `${node}=${hostname}`)).toEqual([
      "n1=ctl1",
      "n2=n2",
    ]);
    const place = new Map(result.plan.steps.map(({ id }, index) => [id, index]));
    for (const { id, requires } of result.plan.steps) {
      for (const required of requires) expect(place.get(required)).toBeLessThan(place.get(id) ?? -1);
    }
    const join = result.plan.steps.find(({ id }) => id === "n2/join");
    expect(join?.requires).toEqual(["n2/reboot", "n1/announce"]);
    expect(join?.action?.kind.value).toMatchObject({
      environment: { MUSTER_CLUSTER: "demo", MUSTER_NODE: "n2", MUSTER_SETTING_COLOR: "blue" },
    });
    const announce = result.plan.steps.find(({ id }) => id === "n1/announce");
    expect(announce).toMatchObject({ timeout: { seconds: 30n }, retries: 2 });
  });

  it("has the same hash for the same state, and another when anything in it changes", () => {
    apply(manifests);
    const hash = () => {
      const result = plan();
      return "plan" in result ? result.plan.hash : "";
    };
    const first = hash();
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(hash()).toBe(first);
    apply("{kind: Role, name: compute, image: debian, scheme: raid1-lvm, kernel_parameters: [quiet]}");
    expect(hash()).not.toBe(first);
  });

  it("is refused when a machine has not got the disks that the scheme wants", () => {
    apply(manifests);
    state.apply(put({ case: "node", value: node("n2", 1) }));
    expect(faults()).toEqual([expect.stringMatching(/^n2: scheme raid1-lvm: .*system.*N2A/s)]);
  });

  it("is refused when more disks match than are wanted, naming the candidates", () => {
    apply(manifests);
    state.apply(put({ case: "node", value: node("n2", 3) }));
    expect(faults()).toEqual([expect.stringMatching(/^n2: .*N2A.*N2B.*N2C/s)]);
  });

  it("is refused for a node that could not start from it", () => {
    apply(manifests);
    state.apply(put({ case: "node", value: node("n2", 2, Firmware_Mode.UEFI) }));
    expect(faults()).toEqual(["n2: it boots by uefi, but the scheme has no partition with the flag esp"]);
    state.apply(put({ case: "image", value: image({ firmware: ["uefi"] }) }));
    expect(faults()).toContainEqual("n1: it boots by bios, image debian only by uefi");
  });

  it("is refused when the image is larger than the root file system", () => {
    apply(manifests);
    state.apply(put({ case: "image", value: image({ sizeBytes: 8n << 30n }) }));
    expect(faults()).toHaveLength(2);
    expect(faults()[0]).toMatch(/image debian needs 8(\.0)? GiB, but lv\/vg0\/root has only 3(\.0)? GiB/);
  });

  it("is refused when nothing is known of a node's hardware", () => {
    apply(manifests);
    state.apply(put({ case: "node", value: create(NodeSchema, { name: "n2" }) }));
    expect(faults()).toEqual([expect.stringContaining("n2: its hardware is not known yet")]);
  });

  it("names the steps that wait for each other", () => {
    apply(`${manifests}---
{kind: Task, name: a, roles: [controller], requires: [b], shell: {command: "true"}}
---
{kind: Task, name: b, roles: [controller], requires: [a], shell: {command: "true"}}
`);
    expect(faults()[0]).toMatch(/wait for each other: n1\/(a -> n1\/b -> n1\/a|b -> n1\/a -> n1\/b)/);
  });

  it("has nothing to wait for in a task that its node does not run", () => {
    apply(`${manifests}---
{kind: Task, name: late, roles: [compute], requires: [install], shell: {command: "true"}}
`);
    const result = plan();
    if (!("plan" in result)) throw new Error(JSON.stringify(result.faults));
    expect(result.plan.steps.find(({ id }) => id === "n2/late")?.requires).toEqual(["n2/reboot"]);
  });
});

describe("manifests are checked as a whole", () => {
  const first = (content: string) => apply(content)[0];

  it("a role without its scheme or image", () => {
    expect(first("kind: Role\nname: r\nimage: debian\nscheme: raid1-lvn\n")).toMatch(
      /^demo.yaml:4:9: scheme: there is no scheme `raid1-lvn`/,
    );
    expect(apply(manifests)).toEqual([]);
    expect(first("kind: Role\nname: r\nimage: debian\nscheme: raid1-lvn\n")).toContain(
      "did you mean `raid1-lvm`?",
    );
    expect(first("kind: Role\nname: r\nimage: windows\nscheme: raid1-lvm\n")).toMatch(
      /^demo.yaml:3:8: image: there is no image `windows`; build it with/,
    );
  });

  it("a cluster with nodes or roles that do not exist, and nothing of the set is stored", () => {
    const set = `${manifests}---\nkind: Cluster\nname: other\nnodes:\n  - {node: n9, role: controler}\n`;
    const found = apply(set);
    expect(found).toHaveLength(2);
    expect(found[0]).toMatch(/^demo.yaml:\d+:\d+: nodes\[0\].node: there is no node `n9`/);
    expect(found[1]).toMatch(/nodes\[0\].role: there is no role `controler`; did you mean `controller`\?$/);
    expect(state.clusters.size).toBe(0);
  });

  it("a node that belongs to another cluster, or stands in one twice", () => {
    apply(manifests);
    expect(first("kind: Cluster\nname: other\nnodes:\n  - {node: n1, role: compute}\n")).toContain(
      "`n1` belongs to cluster `demo`",
    );
    const twice =
      "kind: Cluster\nname: demo\nnodes:\n  - {node: n1, role: compute}\n  - {node: n1, role: compute}\n";
    expect(first(twice)).toContain("`n1` is named twice");
  });

  it("a task with the name of a provisioning step", () => {
    apply(manifests);
    expect(first("kind: Task\nname: image\nroles: ['*']\nshell: {command: 'true'}\n")).toContain(
      "`image` is the name of a provisioning step",
    );
  });

  it("a MAC address that another node has", () => {
    apply("kind: Node\nname: a\nmacs: ['52:54:00:00:00:09']\n");
    expect(first("kind: Node\nname: b\nmacs: ['52:54:00:00:00:09']\n")).toContain("belongs to node `a`");
  });
});
