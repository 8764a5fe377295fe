// The plan of the tests' cluster: three nodes with mirrored disks, a database before its workers.
import { create } from "@bufbuild/protobuf";
import { type Plan, PlanSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { type DiskPlan, DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";

const mib = 1n << 20n;
const gib = 1n << 30n;

export const imageDigest = "4f1c9a0e".repeat(8);
export const planHash = "a1b2c3d4".repeat(8);

/** What was on a disk before. */
const old = {
  destroys: ['partition vda1, 19 GiB, ext4 "old"'],
  before: [{ name: "vda1", startBytes: mib, sizeBytes: 19n * gib, description: "old ext4" }],
};

function plannedDisk(name: string, index: number) {
  return {
    selector: "system",
    index,
    serial: `${name}-${index === 0 ? "A" : "B"}`,
    sizeBytes: 20n * gib,
    lastName: index === 0 ? "vda" : "vdb",
    model: "QEMU DISK",
    partitions: [
      { number: 1, name: "bios", firstLba: 2048n, lastLba: 4095n, sizeBytes: mib, typeCode: "ef02" },
      {
        number: 2,
        name: "os",
        firstLba: 4096n,
        lastLba: 41_940_991n,
        sizeBytes: 20n * gib - 3n * mib,
        typeCode: "fd00",
      },
    ],
    ...(name === "n1" && index === 0 ? old : {}),
  };
}

function diskPlan(name: string): DiskPlan {
  return create(DiskPlanSchema, {
    disks: [plannedDisk(name, 0), plannedDisk(name, 1)],
    mds: [
      {
        name: "os",
        level: 1,
        devices: ["partition/system/0/os", "partition/system/1/os"],
        sizeBytes: 20n * gib - 64n * mib,
      },
    ],
    vgs: [{ name: "vg0", devices: ["md/os"], extentBytes: 4n * mib, sizeBytes: 20n * gib - 64n * mib }],
    lvs: [
      { name: "root", vg: "vg0", sizeBytes: 8n * gib },
      { name: "swap", vg: "vg0", sizeBytes: gib },
      { name: "data", vg: "vg0", sizeBytes: 10n * gib },
    ],
    fss: [
      { device: "lv/vg0/root", type: "ext4", mount: "/" },
      { device: "lv/vg0/swap", type: "swap" },
      { device: "lv/vg0/data", type: "xfs", mount: "/srv" },
    ],
    rootDevice: "lv/vg0/root",
    kernelRoot: "/dev/mapper/vg0-root",
  });
}

const provisioning = ["bootstrap", "partition", "image", "seed", "bootloader", "reboot"];
export const nodeNames = ["n1", "n2", "n3"];

function plannedSteps(name: string) {
  const chain = provisioning.map((task, index) => ({
    id: `${name}/${task}`,
    node: name,
    task,
    requires: index ? [`${name}/${provisioning[index - 1]}`] : [],
  }));
  const config =
    name === "n1"
      ? { id: "n1/database", node: "n1", task: "database", requires: ["n1/reboot"] }
      : { id: `${name}/worker`, node: name, task: "worker", requires: [`${name}/reboot`, "n1/database"] };
  return [...chain, config];
}

export const plan: Plan = create(PlanSchema, {
  cluster: "demo",
  hash: planHash,
  nodes: nodeNames.map((name) => ({
    node: name,
    role: name === "n1" ? "controller" : "compute",
    hostname: name,
    image: "debian-12",
    imageDigest,
    scheme: "mirrored",
    disks: diskPlan(name),
  })),
  steps: nodeNames.flatMap(plannedSteps),
});
