// Entries in the firmware's memory: which are made, which go, and that a machine without any is fine.
import { tmpdir } from "node:os";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DiskPlanSchema, PlannedFsSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { CommandError, type Runner } from "../runner.ts";
import { ownEntries, registerWithFirmware } from "./boot-entries.ts";

const listing = `BootCurrent: 0001
BootOrder: 0001,0000,0002
Boot0000* UiApp\tFvVol(7cb8bdc9)
Boot0001* Muster (S1)\tHD(2,GPT,x)/File(\\EFI\\BOOT\\BOOTX64.EFI)
Boot000A  Muster (S2)\tHD(2,GPT,y)
Boot0002* Mustering station\tHD(1)
`;
const partitions = [
  { number: 1, name: "bios" },
  { number: 2, name: "esp" },
];
const plan = create(DiskPlanSchema, {
  disks: [
    { selector: "os", index: 0, partitions },
    { selector: "os", index: 1, partitions },
  ],
});
const esp = create(PlannedFsSchema, { device: "partition/os/0/esp", copies: ["partition/os/1/esp"] });
const disk = (path: string, serial: string) => ({
  path,
  serial,
  sizeBytes: 1n,
  wwn: "",
  model: "",
  sectorBytes: 512,
});
const disks = new Map([
  ["os/0", disk("/dev/nvme0n1", "S1")],
  ["os/1", disk("/dev/nvme1n1", "S2")],
]);

function register(run: Runner, log: string[], variables: string) {
  const context = { run, log: (line: string) => log.push(line), signal: new AbortController().signal };
  return registerWithFirmware(plan, disks, esp, context, variables);
}

test("older entries go, and each ESP gets one, the first in front", async () => {
  const commands: string[] = [];
  const run: Runner = async (argv) => {
    commands.push(argv.join(" "));
    return { code: 0, stdout: listing, stderr: "" };
  };
  await register(run, [], tmpdir());
  const created = (path: string, serial: string) =>
    `efibootmgr --quiet --create --disk ${path} --part 2 --label Muster (${serial}) --loader \\EFI\\BOOT\\BOOTX64.EFI`;
  expect(commands).toEqual([
    "efibootmgr",
    "efibootmgr --quiet --bootnum 0001 --delete-bootnum",
    "efibootmgr --quiet --bootnum 000A --delete-bootnum",
    created("/dev/nvme1n1", "S2"),
    created("/dev/nvme0n1", "S1"),
  ]);
  expect(ownEntries("")).toEqual([]);
});

test("a firmware that refuses, or none at all, is told and is no failure", async () => {
  const log: string[] = [];
  const refusing: Runner = () => Promise.reject(new CommandError("No space left on device", 5));
  await register(refusing, log, tmpdir());
  expect(log.join()).toContain("takes no boot entry; the removable path has to do: No space left");
  const never: Runner = () => Promise.reject(new Error("nothing may be run"));
  await register(never, log, "/nonexistent");
  expect(log.join()).toContain("was not booted by UEFI");
});
