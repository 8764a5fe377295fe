// Recognising arrays in a made-up sysfs, and the command that makes one.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PlannedMdSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { arrayDifference, findArray, mdadmCreateCommand } from "./arrays.ts";
import { samplesAreZero } from "./discard.ts";

let sysBlock: string;
beforeEach(async () => {
  sysBlock = await mkdtemp(join(tmpdir(), "muster-sysfs-"));
});
afterEach(() => rm(sysBlock, { recursive: true, force: true }));

async function addArray(name: string, slaves: string[], attributes: Record<string, string>): Promise<void> {
  await mkdir(join(sysBlock, name, "md"), { recursive: true });
  for (const slave of slaves) await mkdir(join(sysBlock, name, "slaves", slave), { recursive: true });
  for (const [key, value] of Object.entries(attributes)) {
    await writeFile(join(sysBlock, name, "md", key), `${value}\n`);
  }
}

const members = ["/dev/vda3", "/dev/vdb3"];

test("an array is known by its members, not by its name", async () => {
  await addArray("md126", ["vdc1", "vdd1"], { level: "raid1", array_state: "clean", degraded: "0" });
  await addArray("md127", ["vda3", "vdb3"], { level: "raid1", array_state: "clean", degraded: "0" });
  expect(await findArray(members, sysBlock)).toEqual({
    path: "/dev/md127",
    level: "raid1",
    complete: true,
    state: "clean",
  });
  expect(await findArray(["/dev/vde1"], sysBlock)).toBeUndefined();
});

test("an array with a stranger in it is not ours", async () => {
  await addArray("md127", ["vda3", "sdz1"], { level: "raid1", array_state: "clean", degraded: "0" });
  expect(await findArray(members, sysBlock)).toBeUndefined();
});

test.each([
  ["half assembled", ["vda3"], { array_state: "inactive" }],
  ["degraded", ["vda3", "vdb3"], { array_state: "clean", degraded: "1" }],
  ["without one member", ["vda3"], { array_state: "clean", degraded: "0" }],
])("%s is not complete", async (_, slaves, attributes) => {
  await addArray("md127", slaves, attributes);
  expect((await findArray(members, sysBlock))?.complete).toBe(false);
});

test.each([
  [
    { name: "os", level: 1 },
    true,
    "mdadm --create /dev/md/os --run --level=1 --metadata=1.2 --uuid=u --raid-devices=2 --homehost=any " +
      "--name=os --bitmap=internal --assume-clean /dev/vda3 /dev/vdb3",
  ],
  [
    { name: "fast", level: 0, chunkBytes: 65_536n },
    false,
    "mdadm --create /dev/md/fast --run --level=0 --metadata=1.2 --uuid=u --raid-devices=2 --homehost=any " +
      "--name=fast --chunk=64K /dev/vda3 /dev/vdb3",
  ],
  [
    // The old metadata has no name; with a spare one member is left.
    { name: "boot", level: 1, metadata: "0.90", spares: ["partition/os/1/boot"], componentBytes: 1n << 20n },
    false,
    "mdadm --create /dev/md/boot --run --level=1 --metadata=0.90 --uuid=u --raid-devices=1 --spare-devices=1 " +
      "--size=1024K --bitmap=internal --force /dev/vda3 /dev/vdb3",
  ],
  [
    { name: "data", level: 5, metadata: "1.0" },
    false,
    "mdadm --create /dev/md/data --run --level=5 --metadata=1.0 --uuid=u --raid-devices=2 --homehost=any " +
      "--name=data --bitmap=internal --force /dev/vda3 /dev/vdb3",
  ],
])("the command that makes an array %#", (md, assumeClean, command) => {
  expect(mdadmCreateCommand(create(PlannedMdSchema, md), members, "u", assumeClean).join(" ")).toBe(command);
});

test("an array is told from the planned one by its level, members and metadata", () => {
  const md = create(PlannedMdSchema, { name: "os", level: 1, devices: ["a", "b"] });
  const detail = { uuid: "u", level: "raid1", metadata: "1.2", name: "os", devices: 2 };
  expect(arrayDifference(md, detail)).toBeUndefined();
  expect(arrayDifference(md, { ...detail, level: "raid0" })).toBe("md os is raid0");
  expect(arrayDifference(md, { ...detail, devices: 3 })).toBe("md os has 3 members");
  expect(arrayDifference(md, { ...detail, metadata: "1.0" })).toBe("md os has metadata 1.0");
});

test("samples see a byte at either end", async () => {
  const file = join(sysBlock, "device");
  const content = Buffer.alloc(8 << 20);
  await writeFile(file, content);
  expect(await samplesAreZero(file, content.length)).toBe(true);
  content[content.length - 1] = 1;
  await writeFile(file, content);
  expect(await samplesAreZero(file, content.length)).toBe(false);
});
