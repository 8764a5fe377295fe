// What a cluster's plan makes of the disk plans of its nodes.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { PlannedDiskSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { ImageSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { Firmware_Mode } from "../../proto/gen/muster/v1/inventory_pb.ts";
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

function faults(schemeText: string, clusterMore = ""): string[] {
  const state = new State();
  const content = `${schemeText}
---
{ kind: Role, name: r, image: debian, scheme: plain }
---
kind: Cluster
name: c
nodes: [{ node: n1, role: r }]
${clusterMore}`;
  const read = decodeManifests([{ path: "c.yaml", content }]);
  expect(read.faults.map(formatFault)).toEqual([]);
  const image = { name: "debian", digest: "d", sizeBytes: 1n << 30n, firmware: ["bios", "uefi"] };
  state.apply(put({ case: "image", value: create(ImageSchema, image) }));
  const node = create(NodeSchema, {
    name: "n1",
    state: Node_State.READY,
    inventory: { disks: [disk("vda")], firmware: { mode: Firmware_Mode.BIOS } },
  });
  state.apply(put({ case: "node", value: node }));
  for (const change of applyManifests(state, read.documents).changes) state.apply(change);
  const cluster = state.clusters.get("c");
  if (!cluster) throw new Error("the cluster was not stored");
  const planned = planCluster(state, cluster);
  return "faults" in planned ? planned.faults.map(({ message }) => message) : [];
}

describe("the disks of a cluster", () => {
  it("are planned, unless the cluster protects them", () => {
    expect(faults(scheme)).toEqual([]);
    expect(faults(scheme, "protected_disks: [SERIAL-VDA]")[0]).toContain("is protected");
  });

  it("may hold one operating system", () => {
    const dual = scheme.replace(
      /fss:.*/,
      "fss: [{ device: partition/a, type: ext4, mount: /, os: [one] }, { device: partition/b, type: ext4, mount: /, os: [two] }]",
    );
    expect(faults(dual)).toEqual([
      "scheme plain has several operating systems (one, two); a role installs one image",
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
