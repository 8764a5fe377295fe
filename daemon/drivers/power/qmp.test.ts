import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PowerSpecSchema } from "../../../proto/gen/muster/v1/manifest_pb.ts";
import { BootTarget, PowerAction, PowerState } from "../../../proto/gen/muster/v1/node_pb.ts";
import type { PowerDriver } from "../../domain/ports.ts";
import { createPowerDrivers, createTurn } from "./drivers.ts";
import { createQmpPower } from "./qmp.ts";
import { QmpConnection } from "./qmp-connection.ts";

let directory: string;
let qemu: ChildProcess | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-qmp-"));
});

afterEach(async () => {
  if (qemu && qemu.exitCode === null) {
    qemu.kill("SIGKILL");
    await once(qemu, "exit");
  }
  qemu = undefined;
  await rm(directory, { recursive: true });
});

test("switches a real QEMU on, off and round, and reads its state back", async () => {
  const power = await startMachine();
  expect(await power.state()).toBe(PowerState.OFF);
  expect(await power.set(PowerAction.OFF)).toBe(PowerState.OFF);
  expect(await power.set(PowerAction.ON)).toBe(PowerState.ON);
  expect(await power.set(PowerAction.ON)).toBe(PowerState.ON);
  expect(await power.set(PowerAction.CYCLE)).toBe(PowerState.ON);
  expect(await power.set(PowerAction.OFF)).toBe(PowerState.OFF);
  expect(await power.set(PowerAction.CYCLE)).toBe(PowerState.ON);
  expect(await power.state()).toBe(PowerState.ON);
});

test("puts the NIC or the disks first, as often as it is told", async () => {
  const power = await startMachine();
  expect(await order()).toEqual(["diska", "diskb", "nic0"]);
  await power.setBoot(BootTarget.RAMDISK);
  expect(await order()).toEqual(["nic0", "diska", "diskb"]);
  await power.setBoot(BootTarget.RAMDISK);
  await power.setBoot(BootTarget.DISK);
  expect(await order()).toEqual(["diska", "diskb", "nic0"]);
  await power.setBoot(BootTarget.RAMDISK);
  expect(await order()).toEqual(["nic0", "diska", "diskb"]);
});

test("puts the disks that are left in order when one was taken out", async () => {
  await startMachine();
  const power = driverFor(join(directory, "qmp"), "nic0", ["diska", "gone", "diskb"]);
  await power.setBoot(BootTarget.RAMDISK);
  expect(await order()).toEqual(["nic0", "diska", "diskb"]);
  const all = driverFor(join(directory, "qmp"), "nic0", ["gone"]);
  await expect(all.setBoot(BootTarget.RAMDISK)).rejects.toThrow(/peripheral\/gone' not found/);
});

test("operations on one machine take turns", async () => {
  const power = await startMachine();
  const results = await Promise.all([
    power.set(PowerAction.ON),
    power.setBoot(BootTarget.RAMDISK),
    power.set(PowerAction.OFF),
    power.state(),
  ]);
  expect(results).toEqual([PowerState.ON, undefined, PowerState.OFF, PowerState.OFF]);
});

test("names the socket, the cause and the remedy", async () => {
  const missing = driverFor(join(directory, "none.qmp"));
  await expect(missing.state()).rejects.toThrow(
    /none\.qmp: there is no such socket; start the machine's QEMU/,
  );

  await startMachine();
  const typo = driverFor(join(directory, "qmp"), "nic7");
  await expect(typo.setBoot(BootTarget.RAMDISK)).rejects.toThrow(
    /peripheral\/nic7' not found; power.qmp must name/,
  );

  await writeFile(join(directory, "file"), "");
  await expect(driverFor(join(directory, "file")).state()).rejects.toThrow(/file: nobody listens/);
});

test("does not wait for ever for a socket that says nothing", async () => {
  const path = join(directory, "mute.qmp");
  const mute = createServer().listen(path);
  await once(mute, "listening");
  const spec = driverSpec(path, "nic0");
  if (spec.driver.case !== "qmp") throw new Error("not qmp");
  const power = createQmpPower(spec.driver.value, createTurn(), 100);
  await expect(power.state()).rejects.toThrow(/no answer to the greeting within 0.1 s/);
  mute.close();
});

async function startMachine(): Promise<PowerDriver> {
  const socket = join(directory, "qmp");
  const disks = ["a", "b"].map((name) => join(directory, `${name}.img`));
  for (const disk of disks) {
    await writeFile(disk, "");
    await truncate(disk, 1 << 20);
  }
  const args = ["-S", "-no-shutdown", "-machine", "q35", "-accel", "tcg", "-m", "32", "-nodefaults"];
  args.push("-display", "none", "-qmp", `unix:${socket},server=on,wait=off`);
  args.push("-device", "virtio-net-pci,id=nic0,bootindex=5");
  for (const [i, disk] of disks.entries()) {
    const id = `disk${"ab"[i]}`;
    args.push("-drive", `if=none,id=drive${i},format=raw,file=${disk}`);
    args.push("-device", `virtio-blk-pci,id=${id},drive=drive${i},bootindex=${i + 1}`);
  }
  qemu = spawn("qemu-system-x86_64", args, { stdio: ["ignore", "ignore", "pipe"] });
  const failed = once(qemu, "error").then(([error]) => {
    throw new Error(
      `qemu-system-x86_64 does not start: ${error.message}; install qemu-system-x86 (bin/setup)`,
    );
  });
  failed.catch(() => {});
  const power = driverFor(socket);
  await Promise.race([failed, answers(power)]);
  return power;
}

async function answers(power: PowerDriver): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (
      await power.state().then(
        () => true,
        () => false,
      )
    )
      return;
    await delay(50);
  }
  throw new Error(`QEMU did not open its socket within 10 s: ${qemu?.stderr?.read() ?? "it said nothing"}`);
}

function driverSpec(socket: string, nic: string, disks = ["diska", "diskb"]) {
  return create(PowerSpecSchema, { driver: { case: "qmp", value: { socket, nic, disks } } });
}

const driverFor = (socket: string, nic = "nic0", disks?: string[]): PowerDriver =>
  createPowerDrivers()(driverSpec(socket, nic, disks));

async function order(): Promise<string[]> {
  using qmp = await QmpConnection.open(join(directory, "qmp"), 5000);
  const indexes = new Map<string, number>();
  for (const id of ["nic0", "diska", "diskb"]) {
    const path = `/machine/peripheral/${id}`;
    indexes.set(id, (await qmp.execute("qom-get", { path, property: "bootindex" })) as number);
  }
  return [...indexes].sort(([, a], [, b]) => a - b).map(([id]) => id);
}
