// Making the file system of an image a machine's own, for each kind that an image can hold.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { adoptFilesystem } from "../../node-agent/storage/adopt.ts";
import { readSignature } from "../../node-agent/storage/filesystems.ts";
import { PlannedFsSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { LoopMachine } from "./loop.ts";

const imageBytes = 400 << 20;
let machine: LoopMachine;
beforeEach(async () => {
  machine = await LoopMachine.create();
});
afterEach(() => machine.dispose());

test.each([
  ["ext4", ["-q", "-F", "-L", "image"]],
  ["xfs", ["-q", "-L", "image"]],
  ["btrfs", ["-q", "-L", "image"]],
])("%s: another UUID, the planned label, its content, and the whole device", async (type, options) => {
  const image = join(machine.directory, "image");
  await writeFile(image, "");
  await machine.run(["truncate", "--size", String(imageBytes), image]);
  await machine.run([`mkfs.${type}`, ...options, image]);
  const disk = await machine.addDisk("A1", imageBytes * 2, image);
  const before = await readSignature(disk, machine.context());
  const place = join(machine.directory, "place");
  await mkdir(place);
  await machine.run(["mount", disk, place]);
  await writeFile(join(place, "file"), "content");
  await machine.run(["umount", place]);

  const fs = create(PlannedFsSchema, { type, label: "root" });
  await adoptFilesystem(fs, disk, place, machine.context());
  const after = await readSignature(disk, machine.context());
  expect(after).toMatchObject({ type, label: "root" });
  expect(after.uuid).not.toBe(before.uuid);
  await machine.run(["mount", disk, place]);
  const shown = await machine.run(["findmnt", "--noheadings", "--bytes", "--output", "SIZE", place]);
  expect(Number(shown.stdout)).toBeGreaterThan(imageBytes * 1.5);
  expect((await machine.run(["cat", join(place, "file")])).stdout).toBe("content");
  await machine.run(["umount", place]);
});
