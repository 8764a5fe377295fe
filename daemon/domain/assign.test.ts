import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Cluster, ClusterSchema, DocumentSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { Node_State, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { decodeManifests, formatFault } from "../../proto/manifest/decode.ts";
import { assign } from "./assign.ts";
import { put, State } from "./state.ts";

type Machine = { memory?: number; rack?: string; fields?: Partial<Parameters<typeof nodeOf>[1]> };

function nodeOf(name: string, fields: Record<string, unknown>, { memory = 64, rack }: Machine = {}) {
  return create(NodeSchema, {
    name,
    state: Node_State.AVAILABLE,
    spec: { name, labels: rack ? { rack } : {} },
    inventory: { memoryBytes: BigInt(memory) << 30n, cpu: { threads: memory / 4 } },
    ...fields,
  });
}

/** A world of these machines, roles and clusters, and the last of the clusters. */
function world(machines: Record<string, Machine>, manifests: string): { state: State; cluster: Cluster } {
  const state = new State();
  for (const [name, machine] of Object.entries(machines))
    state.apply(put({ case: "node", value: nodeOf(name, machine.fields ?? {}, machine) }));
  const { documents, faults } = decodeManifests([{ path: "m.yaml", content: manifests }]);
  if (faults.length) throw new Error(faults.map(formatFault).join("\n"));
  let cluster = create(ClusterSchema);
  for (const { manifest } of documents) {
    if (manifest.kind.case === "cluster") {
      cluster = create(ClusterSchema, { name: manifest.kind.value.name, spec: manifest.kind.value });
      state.apply(put({ case: "cluster", value: cluster }));
    } else if (manifest.kind.case) {
      const name = `${manifest.kind.case}/${manifest.kind.value.name}`;
      state.apply(put({ case: "document", value: create(DocumentSchema, { name, manifest }) }));
    }
  }
  return { state, cluster };
}

const role = (name: string, more = "") =>
  `{kind: Role, name: ${name}, image: debian, scheme: raid1${more ? `, ${more}` : ""}}`;
const yaml = (...documents: string[]) => documents.join("\n---\n");

function proposal(machines: Record<string, Machine>, manifests: string) {
  const { state, cluster } = world(machines, manifests);
  const { assigned, rejected, warnings, faults } = assign(state, cluster);
  return {
    given: assigned.map(({ node, role: of }) => `${node}: ${of}`),
    why: Object.fromEntries(assigned.map(({ node, reason }) => [node, reason])),
    whyNot: rejected.map(({ node, role: of, reason }) => `${node}${of && ` for ${of}`}: ${reason}`),
    warnings,
    faults: faults.map(({ role: of, description }) => `${of}: ${description}`),
  };
}

describe("a proposal", () => {
  it("takes the smallest that do, and says why of every node", () => {
    const { given, why, whyNot, faults } = proposal(
      { big: { memory: 256 }, n1: { memory: 64 }, n2: { memory: 128 }, n3: { memory: 32 } },
      yaml(
        role("compute", "requirements: memory >= 64 GiB"),
        "{kind: Cluster, name: demo, wants: [{role: compute, count: 2}]}",
      ),
    );
    expect(faults).toEqual([]);
    expect(given).toEqual(["n1: compute", "n2: compute"]);
    expect(why.n1).toBe("the smallest that does: 64 GiB of memory, 16 threads");
    expect(whyNot).toEqual([
      "n3 for compute: it does not meet `memory >= 64 GiB` (it has 32 GiB)",
      "big for compute: the role has all its nodes, smaller ones or in emptier places: n[1-2]",
    ]);
  });

  it("keeps what the cluster has, and leaves alone what is not free", () => {
    const { given, whyNot, warnings } = proposal(
      {
        n1: {},
        n2: { fields: { state: Node_State.READY, cluster: "blue" } },
        n3: { fields: { retired: true } },
        n4: { fields: { maintenance: true, maintenanceReason: "new fan" } },
        n5: { fields: { protected: true } },
        n6: { fields: { state: Node_State.AWAITING_APPROVAL } },
        n7: { fields: { state: Node_State.DISCOVERED, spec: undefined } },
        n8: { fields: { state: Node_State.ERROR, reason: "disk gone", cluster: "" } },
        n9: { memory: 512, fields: { state: Node_State.READY, cluster: "demo" } },
        na: { fields: { state: Node_State.READY, cluster: "demo" } },
        nb: { fields: { state: Node_State.DISCOVERED } },
      },
      yaml(
        role("web"),
        role("db"),
        "{kind: Cluster, name: blue, nodes: [{node: n2, role: web}]}",
        "{kind: Cluster, name: demo, nodes: [{node: n9, role: web}], wants: [{role: web, count: 3}]}",
      ),
    );
    expect(given).toEqual(["n9: web", "n1: web", "nb: web"]);
    expect(warnings).toEqual([]);
    expect(whyNot.sort()).toEqual([
      "n2: it belongs to cluster blue",
      "n3: it is retired",
      "n4: it is in maintenance (new fan)",
      "n5: it is protected",
      "n6: it awaits approval",
      "n7: its agent has not spoken, and no manifest declares it",
      "n8: it has failed: disk gone",
      "na: it is still deployed with this cluster, which does not name it: release it first",
    ]);
  });

  it("spreads a role over racks, counting what it has there already", () => {
    const machines: Record<string, Machine> = {};
    for (const rack of ["r1", "r2", "r3"])
      for (const n of [1, 2, 3]) machines[`${rack}n${n}`] = { rack, memory: rack === "r1" ? 32 : 64 };
    const { given, why } = proposal(
      machines,
      yaml(
        role("store"),
        "{kind: Cluster, name: demo, nodes: [{node: r1n3, role: store}], wants: [{role: store, count: 6, spread: rack}]}",
      ),
    );
    expect(given.slice(1)).toEqual(["r1n1", "r2n1", "r2n2", "r3n1", "r3n2"].map((node) => `${node}: store`));
    expect(why.r3n1).toBe(
      "rack r3 had none of them, the fewest; the smallest that does: 64 GiB of memory, 16 threads",
    );
  });

  it("exchanges nodes where only so every role gets its own", () => {
    const { given, why, faults } = proposal(
      { n1: { memory: 16 }, n2: { memory: 32, rack: "r2" }, n3: { memory: 64, rack: "r3" } },
      yaml(
        role("a", "requirements: memory <= 32 GiB"),
        role("b", "requirements: memory >= 32 GiB"),
        role("c", "requirements: name = n1 or name = n2"),
        "{kind: Cluster, name: demo, wants: [{role: a, count: 1}, {role: b, count: 1}, {role: c, count: 1}]}",
      ),
    );
    expect(faults).toEqual([]);
    expect(given.map((line) => line.split(": ")[1]).sort()).toEqual(["a", "b", "c"]);
    expect(Object.values(why).some((reason) => reason.startsWith("only so"))).toBe(true);
  });

  it("says what is lacking, and why the others do not do", () => {
    const { faults } = proposal(
      { n1: {}, n2: { memory: 8 }, n3: { memory: 8 }, n4: { fields: { retired: true } } },
      yaml(
        role("web", "requirements: memory > 32 GiB"),
        role("any"),
        "{kind: Cluster, name: demo, wants: [{role: web, count: 2, requirements: cpus > 2}, {role: any, count: 1}]}",
      ),
    );
    expect(faults).toEqual([
      [
        "web: of 2 nodes 1 cannot be found",
        "n4: it is retired",
        "n[2-3]: it does not meet `memory > 32 GiB` (it has 8 GiB) and `cpus > 2` (it has 2)",
      ].join("\n"),
    ]);
  });

  it("holds to how many nodes of a role there may be, and beside which others", () => {
    const limits = (wants: string) =>
      proposal(
        { n1: {}, n2: {}, n3: {}, n4: {} },
        yaml(
          role("ctl", "min: 2, max: 3, recommended: 3"),
          role("solo", "conflicts: [ctl]"),
          `{kind: Cluster, name: demo, nodes: [{node: n1, role: ctl}], wants: [${wants}]}`,
        ),
      );
    expect(limits("{role: solo, count: 1}").faults).toEqual([
      "ctl: it would have 1 of the 2 nodes that it needs at least",
      "solo: it cannot be in one cluster with ctl",
    ]);
    expect(limits("{role: ctl, count: 4}").faults).toEqual([
      "ctl: it would have 4 nodes, and may have 3 at most",
    ]);
    expect(limits("{role: ctl, count: 2}").warnings).toEqual([
      "role ctl will have 2 of the 3 nodes that are recommended",
    ]);
    expect(limits("{role: none, count: 2}").faults).toContain("none: there is no such role");
  });

  it("takes no node away when less is wanted", () => {
    const { given, warnings, whyNot } = proposal(
      { n1: {}, n2: {}, n3: {} },
      yaml(
        role("web"),
        "{kind: Cluster, name: demo, nodes: [{node: n1, role: web}, {node: n2, role: web}], wants: [{role: web, count: 1}]}",
      ),
    );
    expect(given).toEqual(["n1: web", "n2: web"]);
    expect(warnings).toEqual(["role web has 2 nodes, of which 1 would do; none is taken away"]);
    expect(whyNot).toEqual(["n3 for web: the cluster has all nodes of the role already"]);
  });
});

describe("whatever machines and wishes there are", () => {
  const machine = fc.record({
    memory: fc.constantFrom(16, 32, 64, 128),
    rack: fc.constantFrom("r1", "r2", "r3"),
  });
  const wish = fc.record({
    count: fc.integer({ min: 1, max: 4 }),
    requirement: fc.constantFrom(
      "memory >= 64 GiB",
      "memory <= 32 GiB",
      "label.rack = r1",
      "label.rack != r3 memory > 16 GiB",
      "",
    ),
    spread: fc.constantFrom("", "rack"),
  });
  const fits = ({ memory = 0, rack }: Machine, requirement: string): boolean =>
    ({
      "memory >= 64 GiB": memory >= 64,
      "memory <= 32 GiB": memory <= 32,
      "label.rack = r1": rack === "r1",
      "label.rack != r3 memory > 16 GiB": rack !== "r3" && memory > 16,
    })[requirement] ?? true;

  it("no node is given twice, requirements hold, and counts are met whenever that is possible", () => {
    fc.assert(
      fc.property(
        fc.array(machine, { maxLength: 12 }),
        fc.array(wish, { minLength: 1, maxLength: 4 }),
        (list, wishes) => {
          const machines = Object.fromEntries(list.map((each, i) => [`n${i}`, each]));
          const wants = wishes.map(
            ({ count, requirement, spread }, i) =>
              `{role: role${i}, count: ${count}, requirements: ${JSON.stringify(requirement)}, spread: "${spread}"}`,
          );
          const manifests = yaml(
            ...wishes.map((_, i) => role(`role${i}`)),
            `{kind: Cluster, name: demo, wants: [${wants.join(", ")}]}`,
          );
          const { state, cluster } = world(machines, manifests);
          const { assigned, rejected, faults } = assign(state, cluster);
          const slots = wishes.flatMap(({ count, requirement }) =>
            Array.from({ length: count }, () => requirement),
          );
          expect(faults.length === 0).toBe(canFill(slots, list, fits));
          expect(new Set(assigned.map(({ node }) => node)).size).toBe(assigned.length);
          for (const { node, role: of } of assigned) {
            const requirement = wishes[Number(of.slice(4))]?.requirement ?? "";
            expect(fits(machines[node] ?? {}, requirement)).toBe(true);
          }
          if (faults.length) return;
          wishes.forEach(({ count }, i) => {
            expect(assigned.filter((each) => each.role === `role${i}`)).toHaveLength(count);
          });
          const explained = new Set([...assigned, ...rejected].map(({ node }) => node));
          expect(explained).toEqual(new Set(Object.keys(machines)));
          expect(assign(state, cluster)).toEqual({ assigned, rejected, warnings: [], faults });
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Whether every slot can have a machine of its own: by trying, one slot after the other. */
function canFill(
  slots: string[],
  machines: Machine[],
  fits: (machine: Machine, slot: string) => boolean,
): boolean {
  const owners = new Map<number, number>();
  const fill = (slot: number, tried: Set<number>): boolean =>
    machines.some((machine, i) => {
      if (tried.has(i) || !fits(machine, slots[slot] ?? "")) return false;
      tried.add(i);
      const owner = owners.get(i);
      if (owner !== undefined && !fill(owner, tried)) return false;
      owners.set(i, slot);
      return true;
    });
  return slots.every((_, slot) => fill(slot, new Set()));
}
