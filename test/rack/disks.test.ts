// What disks do in real racks: one dies, another layout was there before, a machine is deployed again. Long;
// MUSTER_RACK_ALL=1 (npm run test:rack:all) asks for them.
import { describe, expect, it, onTestFinished } from "vitest";
import { Environment } from "../../proto/gen/muster/v1/node_pb.ts";
import { applyManifests } from "./bring-up.ts";
import { diskManifests } from "./demo-manifests.ts";
import { resultOf } from "./deployment.ts";
import { nodeOf, removeDisk, replaceDisk, untilNode } from "./disk-loss.ts";
import { lines } from "./lines.ts";
import { OneMachine } from "./one-machine.ts";

/** No array and no volumes, and partitions that end where those of the demo do not. */
const flatScheme = `kind: Scheme
name: raid1-lvm
disks:
  - { id: system, count: 1, hints: { serial: "N1A" } }
  - { id: data, count: 1, hints: { serial: "N1B" } }
parteds:
  - disks: system
    partitions:
      - { name: bios, size: 1 MiB, flags: [bios_grub] }
      - { name: swap, size: 300 MiB, flags: [swap] }
      - { name: root, size: remaining }
  - disks: data
    partitions:
      - { name: data, size: remaining }
fss:
  - { device: partition/root, type: ext4, mount: /, label: root }
  - { device: partition/swap, type: swap }
  - { device: partition/data, type: xfs, mount: /data, label: data }
`;

describe.runIf(process.env.MUSTER_RACK_ALL)("disks", () => {
  it.for([
    { lost: 0, how: "is taken out", lose: removeDisk },
    // A BIOS tries the first disk that there is, and no other.
    { lost: 0, how: "is replaced by an empty one", lose: replaceDisk },
    { lost: 1, how: "is replaced by an empty one", lose: replaceDisk },
  ])("boots when disk $lost of its mirror $how", async ({ lost, lose }, { signal }) => {
    const world = await OneMachine.up(signal, { manifests: diskManifests() });
    onTestFinished(() => world[Symbol.asyncDispose]());
    const ended = await world.deploy();
    expect(resultOf(ended, "partition")).toMatch(/md os raid1 \[UU\].*UUIDs: md\/os /);
    const before = await nodeOf(world);
    await lose(world, lost);
    const after = await untilNode(
      world,
      (node) => node.environment === Environment.INSTALLED && node.bootId !== before.bootId && node.online,
    );
    expect(after.installed?.arrays.join()).toMatch(/^os raid1 \[2\/1\] \[(_U|U_)\]$/);
    expect(after.installed?.imageDigest).toBe(before.installed?.imageDigest);
  });

  it("is deployed over a former layout of another kind, and back", async ({ signal }) => {
    const world = await OneMachine.up(signal, { manifests: diskManifests() });
    onTestFinished(() => world[Symbol.asyncDispose]());
    expect(resultOf(await world.deploy(), "partition")).toContain("vg0: root 3 GiB");

    await applyManifests(world.operator, diskManifests(flatScheme), lines);
    const flat = await world.deploy();
    expect(resultOf(flat, "partition")).toMatch(/^2 disks: gpt bios\+swap\+root and gpt data; UUIDs: swap /);
    expect((await nodeOf(world)).installed?.arrays).toEqual([]);

    await applyManifests(world.operator, diskManifests(), lines);
    const again = await world.deploy();
    expect(resultOf(again, "partition")).toMatch(/md os raid1 \[UU\]/);
    // The same scheme as the first time, and yet nothing of the first was taken for done.
    expect(resultOf(again, "partition")).not.toMatch(/^unchanged/);
    expect((await nodeOf(world)).installed?.arrays.join()).toBe("os raid1 [2/2] [UU]");
  });
});
