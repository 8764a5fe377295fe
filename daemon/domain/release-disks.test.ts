// Which disks a release erases and how, which it leaves, and what it refuses.
import { create } from "@bufbuild/protobuf";
import { beforeEach, expect, it } from "vitest";
import { StepResult_Outcome as Outcome, StepResultSchema } from "../../proto/gen/muster/v1/agent_pb.ts";
import { type Plan, Purpose, type Step, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { EraseMode } from "../../proto/gen/muster/v1/erase_pb.ts";
import type { Disk, DiskContent } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { DiskContentSchema, DiskSchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { begin, succeed } from "./attempt.ts";
import { Decision } from "./decision.ts";
import { startDeployment } from "./deploy.ts";
import { planCluster } from "./plan.ts";
import { applyTo, manifests, planState } from "./plan-fixture.ts";
import type { ReleaseOptions } from "./release.ts";
import { result } from "./report.ts";
import { put, type State } from "./state.ts";

let state: State;
beforeEach(() => {
  state = planState();
  expect(applyTo(state, manifests)).toEqual([]);
  // Everything succeeds at once.
  const decision = new Decision(state, 1_000, 1n);
  const planned = planCluster(state, demo());
  if ("faults" in planned) throw new Error("the cluster cannot be planned");
  for (const step of state.steps(startDeployment(decision, demo(), planned.plan).name)) {
    succeed(decision, begin(decision, nodeOf(step.node), step, "provision"), "done");
  }
});

function demo() {
  const cluster = state.clusters.get("demo");
  if (!cluster) throw new Error("no cluster");
  return cluster;
}

function nodeOf(name: string) {
  const node = state.nodes.get(name);
  if (!node) throw new Error(`no node ${name}`);
  return node;
}

const plan = (options: ReleaseOptions) =>
  planCluster(state, demo(), { nodes: ["n1"], ...options, purpose: Purpose.RELEASE });

function planned(options: ReleaseOptions = {}): Plan {
  const result = plan(options);
  if ("faults" in result) throw new Error(JSON.stringify(result.faults));
  return result.plan;
}

function faults(options: ReleaseOptions = {}): string[] {
  const result = plan(options);
  return "faults" in result ? result.faults.map(({ node, message }) => `${node}: ${message}`) : [];
}

function wipeOf({ steps }: Plan) {
  const step = steps.find(({ task }) => task === "wipe");
  if (step?.action?.kind.case !== "wipe") throw new Error("no wipe step");
  return { ...step.action.kind.value, seconds: Number(step.timeout?.seconds) };
}

const serialsOf = (disks: readonly { serial: string }[] | undefined) => disks?.map(({ serial }) => serial);
const leftOf = ({ nodes }: Plan) => nodes[0]?.left.map(({ serial, name, reason }) => [serial, name, reason]);

/** Changes the disks of a node; `change` gets the one with this serial. */
function changeDisk(node: string, serial: string, change: Partial<Disk>): void {
  const disks = nodeOf(node).inventory?.disks ?? [];
  setDisks(
    node,
    disks.map((disk) => (disk.serial === serial ? { ...disk, ...change } : disk)),
  );
}

function setDisks(name: string, disks: Disk[]): void {
  const node = nodeOf(name);
  if (!node.inventory) throw new Error("no inventory");
  state.apply(put({ case: "node", value: { ...node, inventory: { ...node.inventory, disks } } }));
}

const content = (fields: Partial<DiskContent>) =>
  create(DiskContentSchema, fields as Record<string, unknown>);

it("erases metadata unless the cluster or the operator wants more", () => {
  expect(wipeOf(planned())).toMatchObject({ mode: EraseMode.METADATA, seconds: 1800 });
  const full = planned({ erase: EraseMode.FULL });
  expect(full.nodes[0]?.erase).toBe(EraseMode.FULL);
  // A day for a disk that erases itself, and time to overwrite 6 GiB.
  expect(wipeOf(full)).toMatchObject({ mode: EraseMode.FULL, seconds: 86_400 + 323 });
  expect(full.hash).not.toBe(planned().hash);
  const thorough = manifests.replace("settings: {color: blue}", "settings: {color: blue}\nerase: full");
  expect(applyTo(state, thorough)).toEqual([]);
  expect(wipeOf(planned()).mode).toBe(EraseMode.FULL);
  expect(wipeOf(planned({ erase: EraseMode.METADATA })).mode).toBe(EraseMode.METADATA);
  expect(applyTo(state, thorough.replace("erase: full", "erase: gently"))).toHaveLength(1);
});

it("leaves what is skipped, was never written or is gone, and says why", () => {
  const [a, b] = nodeOf("n1").inventory?.disks ?? [];
  if (!a || !b) throw new Error("no disks");
  const foreign = { ...create(DiskSchema, a), name: "vdc", serial: "FOREIGN" };
  setDisks("n1", [a, b, foreign]);
  const skipped = planned({ skip: [" n1b "] });
  expect(serialsOf(wipeOf(skipped).disks)).toEqual(["N1A"]);
  expect(wipeOf(skipped).skip).toEqual([" n1b "]);
  expect(leftOf(skipped)).toEqual([
    ["N1B", "vdb", "skipped, as you asked"],
    ["FOREIGN", "vdc", "Muster has not written to it"],
  ]);
  setDisks("n1", [a]);
  expect(leftOf(planned())).toEqual([["N1B", "", "not in the machine any more"]]);
});

it("refuses a word to skip that names no disk of the nodes, and to erase nothing", () => {
  expect(faults({ skip: ["N2A"] })).toEqual([expect.stringMatching(/^: no disk to skip .* N2A: see/)]);
  expect(faults({ skip: ["N1A", "N1B"] })).toEqual([
    "n1: no disk would be erased, and it would be set free as it is (vda: skipped, as you asked; vdb: skipped, as you asked)",
  ]);
});

it("refuses a disk that was protected since, until it is skipped", () => {
  expect(applyTo(state, `${manifests.replace("settings:", "protected_disks: [n1b]\nsettings:")}`)).toEqual(
    [],
  );
  expect(faults()).toEqual([
    expect.stringMatching(/^n1: vdb \(serial N1B.*is protected now: .* `--skip N1B` leaves it as it is$/),
  ]);
  const rest = wipeOf(planned({ skip: ["N1B"] }));
  expect([serialsOf(rest.disks), rest.protectedDisks]).toEqual([["N1A"], ["n1b"]]);
});

it("refuses a disk that another node sees too", () => {
  changeDisk("n1", "N1A", { wwn: "0x5000" });
  changeDisk("n2", "N2A", { wwn: "0X5000" });
  // The deployment wrote it when it showed no wwn.
  const written = state.deployments.get("demo-1")?.plan?.nodes[0]?.disks?.disks[0];
  if (written) written.wwn = "0x5000";
  expect(faults()).toEqual([
    expect.stringMatching(
      /^n1: vda \(serial N1A.* is also in the inventory of n2: a shared disk is never erased/,
    ),
  ]);
  changeDisk("n2", "N2A", { wwn: "0x5001", serial: "N1A" });
  expect(faults()).toEqual([]);
  changeDisk("n2", "N1A", { wwn: "" });
  expect(faults()).toHaveLength(1);
  changeDisk("n2", "N1A", { sizeBytes: 1n });
  expect(faults()).toEqual([]);
  changeDisk("n1", "N1B", { multipathMember: true });
  expect(faults()).toEqual([expect.stringMatching(/^n1: vdb .* is a path of a multipath disk/)]);
  expect(serialsOf(wipeOf(planned({ skip: ["N1B"] })).disks)).toEqual(["N1A"]);
});

it("refuses to erase one part of an array whose other part stays", () => {
  const member = { fsType: "linux_raid_member", uuid: "b1f7" };
  changeDisk("n1", "N1A", { contents: [content({ name: "vda2", parent: "vda", ...member })] });
  changeDisk("n1", "N1B", { contents: [content({ name: "vdb2", parent: "vdb", ...member })] });
  expect(serialsOf(wipeOf(planned()).disks)).toEqual(["N1A", "N1B"]);
  expect(faults({ skip: ["N1B"] })).toEqual([
    expect.stringMatching(/^n1: array b1f7 of vda .* also lies on vdb .*, which would be left as it is/),
  ]);
  const volume = content({ name: "vg0-root", type: "lvm", parent: "vda" });
  changeDisk("n1", "N1A", { contents: [volume] });
  changeDisk("n1", "N1B", { contents: [{ ...volume, parent: "vdb" }] });
  expect(faults({ skip: ["N1B"] })).toEqual([expect.stringContaining("volume group vg0 of vda")]);
});

it("keeps the proof with the step and its attempt, also of one that fails, and forgets it for the next", () => {
  const decision = new Decision(state, 2_000, 2n);
  const { name } = startDeployment(decision, demo(), planned());
  const step = (task: string): Step => {
    const found = state.step(`${name}/n1/${task}`);
    if (!found) throw new Error(`no step ${task}`);
    return found;
  };
  succeed(decision, step("bootstrap"), "in the ramdisk");
  const erasures = [{ serial: "N1A", method: "discard", readPlaces: 3 }];
  const { token, fence } = begin(decision, nodeOf("n1"), step("wipe"), "clean");
  const failed = { token, fence, outcome: Outcome.FAILED, reason: "vdb: I/O error", erasures };
  result(decision, "n1", create(StepResultSchema, failed));
  expect(step("wipe")).toMatchObject({ state: Step_State.FAILED, erasures });
  const attempts = decision.changes.flatMap((change) =>
    "put" in change && change.put.kind.case === "attempt" ? change.put.kind.value : [],
  );
  expect(attempts.at(-1)).toMatchObject({ task: "wipe", reason: "vdb: I/O error", erasures });
  expect(begin(decision, nodeOf("n1"), step("wipe"), "clean").erasures).toEqual([]);
});
