// A QEMU machine that boots the bootstrap ramdisk with the bench in the agent's place: few kernels that run tests
// have arrays and volumes, the ramdisk's has. It has no network but QEMU's own, and two empty disks.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { bundleAgent } from "../../imagebuild/agent-bundle.ts";
import { cpioArchive, padding } from "../../imagebuild/cpio.ts";
import { raid1Lvm } from "../agent/layouts.ts";
import { chooseAccelerator } from "../rack/accelerator.ts";
import { run } from "../rack/command.ts";
import { labDirectory } from "../rack/layout.ts";
import { muster, repository } from "../rack/muster.ts";
import type { ApplyFigures } from "./disks-apply.ts";
import { measuredMark } from "./disks-protocol.ts";

const limitMs = 20 * 60_000;
const guest = path.join(import.meta.dirname, "disks-guest.ts");

/** Builds the ramdisk if it is not there yet, in MUSTER_STATE_DIR or .muster. */
export async function measureInMachine(log: (line: string) => void): Promise<ApplyFigures> {
  const stateDir = process.env.MUSTER_STATE_DIR ?? path.join(repository, ".muster");
  const signal = AbortSignal.timeout(limitMs);
  await muster(["image", "build", "--ramdisk"], { stateDir, signal, log });
  const directory = await mkdtemp(path.join(tmpdir(), "muster-bench-"));
  try {
    const argv = await machine(stateDir, directory, signal, log);
    return await boot(argv, signal, log);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

type Argv = [string, ...string[]];

async function machine(
  stateDir: string,
  directory: string,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<Argv> {
  const kernel = path.join(stateDir, "boot/vmlinuz");
  const initrd = path.join(directory, "initrd.img");
  await copyFile(path.join(stateDir, "boot/initrd.img"), initrd);
  const { code } = await bundleAgent(guest);
  // The kernel unpacks archives one after the other; a later file takes the place of an earlier one.
  const more = cpioArchive([{ name: "muster/agent.mjs", kind: "file", content: code }]);
  await writeFile(initrd, Buffer.concat([padding((await stat(initrd)).size, 4), more]), { flag: "a" });
  const disks = Array.from({ length: raid1Lvm.disks }, (_, index) => ({
    serial: `D${index}`,
    file: path.join(directory, `D${index}.qcow2`),
  }));
  for (const { file } of disks)
    await run(["qemu-img", "create", "-q", "-f", "qcow2", file, String(raid1Lvm.sizeBytes)]);
  await mkdir(labDirectory(stateDir), { recursive: true });
  const accelerator = await chooseAccelerator(stateDir, signal);
  log(`the machine runs with ${accelerator.name.toUpperCase()}: ${accelerator.why}`);
  return [
    "qemu-system-x86_64",
    ...["-machine", "q35", ...accelerator.args, "-smp", "1", "-m", "1024"],
    ...["-display", "none", "-nodefaults", "-no-user-config", "-no-reboot", "-serial", "stdio"],
    ...["-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0,115200 quiet loglevel=1"],
    ...disks.flatMap(({ serial, file }) => [
      "-drive",
      `if=none,id=${serial},file=${file},format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap`,
      "-device",
      `virtio-blk-pci,drive=${serial},serial=${serial}`,
    ]),
    // The ramdisk would wait a minute for an answer to DHCP.
    ...["-netdev", "user,id=net0,restrict=on", "-device", "virtio-net-pci,netdev=net0"],
    ...["-device", "virtio-rng-pci"],
  ];
}

/** Until the machine switches itself off. Throws with the end of its console if it has measured nothing. */
async function boot(argv: Argv, signal: AbortSignal, log: (line: string) => void): Promise<ApplyFigures> {
  // It ends with the bench, also when that is killed.
  const child = spawn("setpriv", ["--pdeathsig", "KILL", ...argv], { stdio: ["ignore", "pipe", "inherit"] });
  const stop = () => child.kill("SIGKILL");
  signal.addEventListener("abort", stop);
  const exit = once(child, "exit");
  const said: string[] = [];
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.startsWith(measuredMark)) return JSON.parse(line.slice(measuredMark.length)) as ApplyFigures;
      if (line.startsWith("bench: ")) log(line.slice("bench: ".length));
      said.push(line);
    }
    throw new Error(`the machine has measured nothing:\n${said.slice(-20).join("\n")}`);
  } finally {
    stop();
    await exit;
    signal.removeEventListener("abort", stop);
  }
}
