// What a cluster's plan makes of the disk plans of its nodes, and of the images that go onto them.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { Plan } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { PlannedDiskSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { type Image, ImageKind, ImageSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { type Disk, Firmware_Mode } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { Node_State, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { decodeManifests, formatFault } from "../../proto/manifest/decode.ts";
import { canStart } from "./boot-disk.ts";
import { applyManifests } from "./manifests.ts";
import { planCluster } from "./plan.ts";
import { disk } from "./scheme-fixture.ts";
import { put, State } from "./state.ts";

const scheme = `
kind: Scheme
name: plain
disks: [{ id: d, hints: { serial: serial-vda } }]
parteds: [{ disks: d, partitions: [{ name: bios, size: 1 MiB, flags: [bios_grub] }, { name: a, size: 3 GiB }, { name: b, size: remaining }] }]
fss: [{ device: partition/a, type: ext4, mount: / }]
`;
const dual = scheme.replace(
  /fss:.*/,
  "fss: [{ device: partition/a, type: ext4, mount: /, os: [one] }, { device: partition/b, type: ext4, mount: /, os: [two] }]",
);
const whole = scheme.replace(/parteds:.*\nfss:.*/, "whole_disk: d");

type ImageInit = Partial<
  Pick<
    Image,
    "name" | "digest" | "kind" | "filesystem" | "sizeBytes" | "firmware" | "kernelVersion" | "rootPartition"
  >
>;
const debian: ImageInit = {
  name: "debian",
  digest: "d",
  kind: ImageKind.FILESYSTEM,
  filesystem: "ext4",
  sizeBytes: 1n << 30n,
  firmware: ["bios", "uefi"],
  kernelVersion: "6.1",
};
const rescue: ImageInit = { ...debian, name: "rescue", digest: "r", kernelVersion: "6.12" };
const vendor: ImageInit = {
  name: "vendor",
  digest: "v",
  kind: ImageKind.DISK,
  sizeBytes: 2n << 30n,
  firmware: ["bios"],
  rootPartition: 3,
};

type World = { role?: string; cluster?: string; images?: ImageInit[]; vda?: Disk };

/** `role` is what it says beside its name and scheme. */
function planOf(
  schemeText: string,
  { role = "image: debian", cluster = "", images = [], vda = disk("vda") }: World = {},
) {
  const state = new State();
  const content = `${schemeText}
---
{ kind: Role, name: r, scheme: plain, ${role} }
---
kind: Cluster
name: c
nodes: [{ node: n1, role: r }]
${cluster}`;
  const read = decodeManifests([{ path: "c.yaml", content }]);
  expect(read.faults.map(formatFault)).toEqual([]);
  for (const image of [debian, rescue, vendor, ...images])
    state.apply(put({ case: "image", value: create(ImageSchema, image) }));
  const node = create(NodeSchema, {
    name: "n1",
    state: Node_State.READY,
    inventory: { disks: [vda], firmware: { mode: Firmware_Mode.BIOS } },
  });
  state.apply(put({ case: "node", value: node }));
  for (const change of applyManifests(state, read.documents).changes) state.apply(change);
  const stored = state.clusters.get("c");
  if (!stored) throw new Error("the cluster was not stored");
  return planCluster(state, stored);
}

function faults(schemeText: string, world?: World): string[] {
  const planned = planOf(schemeText, world);
  return "faults" in planned ? planned.faults.map(({ message }) => message) : [];
}

function actionsOf(schemeText: string, world: World): Record<string, unknown> {
  return Object.fromEntries(
    goodPlan(schemeText, world).steps.map(({ task, action }) => [task, action?.kind.value]),
  );
}

function goodPlan(schemeText: string, world: World): Plan {
  const planned = planOf(schemeText, world);
  if ("faults" in planned) throw new Error(planned.faults.map(({ message }) => message).join("\n"));
  return planned.plan;
}

describe("the disks of a cluster", () => {
  it("are planned, unless the cluster protects them", () => {
    expect(faults(scheme)).toEqual([]);
    expect(faults(scheme, { cluster: "protected_disks: [SERIAL-VDA]" })[0]).toContain("is protected");
  });
});

describe("several operating systems", () => {
  const both = "image: debian, images: [{ image: rescue, mount: /, os: two }]";

  it("each get their image, and every step knows which", () => {
    const steps = actionsOf(dual, { role: both });
    const systems = [
      { os: "one", imageDigest: "d", kernelVersion: "6.1" },
      { os: "two", imageDigest: "r", kernelVersion: "6.12" },
    ];
    expect(steps.image).toMatchObject({
      targets: [
        { imageDigest: "d", device: "partition/d/0/a" },
        { imageDigest: "r", device: "partition/d/0/b" },
      ],
    });
    expect(steps.seed).toMatchObject({ systems });
    expect(steps.bootloader).toMatchObject({ systems });
    expect(steps.reboot).toMatchObject({ imageDigest: "d" });
    expect(goodPlan(dual, { role: both }).nodes[0]).toMatchObject({
      image: "debian",
      further: [{ device: "partition/d/0/b", image: "rescue", imageDigest: "r" }],
    });
  });

  it("each need one", () => {
    expect(faults(dual)).toEqual([
      "role r: the scheme has the operating system two, and no image is for it: " +
        "add { image: NAME, mount: /, os: two } to the role's images",
    ]);
  });

  it("each need a kernel that no other overwrites", () => {
    const data: ImageInit = { ...debian, name: "data", digest: "x", kernelVersion: "" };
    expect(faults(scheme, { role: "image: data", images: [data] })).toEqual([
      "image data has no kernel that is known, so it cannot be started: choose another for /",
    ]);
    const shared = dual
      .replace("{ name: a,", "{ name: boot, size: 1 GiB }, { name: a,")
      .replace("fss: [", "fss: [{ device: partition/boot, type: ext4, mount: /boot }, ");
    expect(faults(shared, { role: both })).toEqual([]);
    const twin: ImageInit = { ...rescue, name: "twin", digest: "t", kernelVersion: "6.1" };
    expect(faults(shared, { role: both.replace("rescue", "twin"), images: [twin] })).toEqual([
      "one and two share /boot and both have Linux 6.1, so one would overwrite the other's files: give each a /boot of its own",
    ]);
  });
});

describe("a file system that is kept", () => {
  const part = (number: number, partName: string, startMib: bigint, sizeMib: bigint) => ({
    name: `vda${number}`,
    type: "part",
    parent: "vda",
    fsType: "ext4",
    partType: "0fc63daf-8483-4772-8e79-3d69d8477de4",
    partNumber: number,
    partName,
    startBytes: startMib << 20n,
    sizeBytes: sizeMib << 20n,
  });
  const vda = disk("vda", {
    tableType: "gpt",
    contents: [part(2, "a", 2n, 3072n), part(3, "b", 3074n, 7165n)],
  });
  const keep = (device: string) =>
    dual.replace(`${device}, type: ext4`, `${device}, type: ext4, keep_data: true`);
  const role = "image: debian, images: [{ image: rescue, mount: /, os: two }]";

  it("gets no image, though it is in the menu", () => {
    const steps = actionsOf(keep("partition/b"), { role, vda });
    expect(steps.image).toMatchObject({ targets: [{ imageDigest: "d", device: "partition/d/0/a" }] });
    expect(steps.bootloader).toMatchObject({
      systems: [{ os: "one" }, { os: "two", kernelVersion: "6.12" }],
    });
  });

  it("cannot be that of the system which is started", () => {
    expect(faults(keep("partition/a"), { role, vda })).toEqual([
      "scheme plain keeps / of one, and what is started must be installed: remove its keep_data, or name another operating system first",
    ]);
    const only = scheme.replace("type: ext4", "type: ext4, keep_data: true");
    expect(faults(only, { vda })).toEqual([
      "scheme plain keeps /, and what is started must be installed: remove its keep_data",
    ]);
  });
});

describe("an image of a whole disk", () => {
  it("goes onto the disk, and every step knows which partition is /", () => {
    const steps = actionsOf(whole, { role: "image: vendor" });
    const systems = [{ os: "", imageDigest: "v", rootPartition: 3 }];
    expect(steps.image).toMatchObject({ targets: [{ imageDigest: "v", device: "disk/d/0" }] });
    expect(steps.seed).toMatchObject({ systems });
    expect(steps.reboot).toMatchObject({ hostname: "n1", rootDevice: "", imageDigest: "v" });
  });

  it("and a scheme for one belong together", () => {
    expect(faults(whole)).toEqual([
      "image debian holds one file system, and scheme plain is for an image of a whole disk: change one of them",
    ]);
    expect(faults(scheme, { role: "image: vendor" })[0]).toBe(
      "image vendor is that of a whole disk, / is one file system: change the image, or choose a scheme with whole_disk",
    );
  });

  it("must fit, boot, and say where / is", () => {
    const change = (name: string, fields: ImageInit): World => ({
      role: `image: ${name}`,
      images: [{ ...vendor, ...fields, name, digest: name }],
    });
    expect(faults(whole, change("big", { sizeBytes: 11n << 30n }))).toEqual([
      "image big needs 11 GiB, but disk/d/0 has only 10 GiB",
    ]);
    expect(faults(whole, change("efi", { firmware: ["uefi"] }))).toEqual([
      "it boots by bios, image efi only by uefi",
    ]);
    expect(faults(whole, change("unknown", { firmware: [] }))).toEqual([
      "it boots by bios, image unknown only by nothing that is known",
    ]);
    expect(faults(whole, change("dark", { rootPartition: 0 }))[0]).toContain(
      "no partition of image dark is known to be /",
    );
    const more = "image: vendor, images: [{ image: rescue, mount: /opt }], kernel_parameters: [quiet]";
    expect(faults(whole, { role: more })).toEqual([
      "role r: beside an image of a whole disk there is no room for further images",
      "role r: an image of a whole disk brings its own kernel parameters; remove kernel_parameters",
    ]);
  });
});

describe("a firmware starts", () => {
  const of = (label: string, typeCode: string, bootloader = true) =>
    create(PlannedDiskSchema, { label, bootloader, partitions: [{ typeCode }] });

  it("from what it knows, where a boot loader is", () => {
    expect(canStart(of("gpt", "ef02"), "bios")).toBe(true);
    expect(canStart(of("gpt", "ef02", false), "bios")).toBe(false);
    expect(canStart(of("gpt", "ef00"), "bios")).toBe(false);
    expect(canStart(of("gpt", "ef00"), "uefi")).toBe(true);
    expect(canStart(of("msdos", "83"), "bios")).toBe(true);
    expect(canStart(of("msdos", "83"), "uefi")).toBe(false);
    expect(canStart(of("msdos", "ef"), "uefi")).toBe(true);
  });
});
