// One machine of the rack: a QEMU that stands there powered off, like a server whose BMC has current, until
// the power driver starts it through QMP. When its QEMU dies, another takes its place, powered off.
import type { ChildProcess } from "node:child_process";
import { appendFileSync, copyFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Accelerator } from "./accelerator.ts";
import { run } from "./command.ts";
import { type MachineLayout, nicBootindex, nicId } from "./layout.ts";
import { inNamespace } from "./network.ts";
import { type ProcessBook, recordOf, spawnBound } from "./processes.ts";

const firmwareCode = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const firmwareVars = "/usr/share/OVMF/OVMF_VARS_4M.fd";
/** A QEMU that ends sooner than this after its start never worked. */
const minimumLifeMs = 2_000;
const startLimitMs = 10_000;

export async function prepareDisks(machine: MachineLayout, diskSize: string): Promise<void> {
  for (const { file } of machine.disks) {
    if (!existsSync(file)) await run(["qemu-img", "create", "-q", "-f", "qcow2", file, diskSize]);
  }
  if (machine.firmware === "uefi" && !existsSync(machine.varsFile))
    copyFileSync(firmwareVars, machine.varsFile);
}

export function qemuArguments(machine: MachineLayout, accelerator: Accelerator, memoryMib: number): string[] {
  const pflash = (unit: number, rest: string) => ["-drive", `if=pflash,format=raw,unit=${unit},${rest}`];
  return [
    "qemu-system-x86_64",
    ...["-name", machine.name, "-machine", "q35", ...accelerator.args],
    ...["-smp", "1", "-m", String(memoryMib), "-display", "none", "-nodefaults", "-no-user-config"],
    // Powered off; and when the guest switches itself off, the machine stays.
    ...["-S", "-no-shutdown"],
    ...["-uuid", machine.uuid],
    "-smbios",
    `type=1,uuid=${machine.uuid},serial=${machine.serialNumber},manufacturer=Muster,product=virtual rack`,
    ...(machine.firmware === "uefi"
      ? [...pflash(0, `readonly=on,file=${firmwareCode}`), ...pflash(1, `file=${machine.varsFile}`)]
      : []),
    ...["-chardev", `file,id=s0,path=${machine.serialFile},append=on`, "-serial", "chardev:s0"],
    ...["-qmp", `unix:${machine.qmpSocket},server=on,wait=off`],
    ...["-qmp", `unix:${machine.rackSocket},server=on,wait=off`],
    ...machine.disks.flatMap((disk) => [
      "-drive",
      `if=none,id=drive-${disk.id},file=${disk.file},format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap`,
      "-device",
      `virtio-blk-pci,id=${disk.id},drive=drive-${disk.id},serial=${disk.serial},bootindex=${disk.bootindex},` +
        `logical_block_size=${disk.sectorBytes},physical_block_size=${disk.sectorBytes}`,
    ]),
    ...["-netdev", `tap,id=net0,ifname=${machine.tap},script=no,downscript=no`],
    "-device",
    `virtio-net-pci,id=${nicId},netdev=net0,mac=${machine.mac},bootindex=${nicBootindex}`,
    ...["-device", "virtio-rng-pci"],
  ];
}

/** Keeps one machine's QEMU running until stopped. */
export class Machine {
  readonly layout: MachineLayout;
  readonly #argv: (layout: MachineLayout) => string[];
  readonly #removed = new Set<string>();
  readonly #book: ProcessBook;
  readonly #log: (line: string) => void;
  #stopping = false;
  #failedStarts = 0;

  constructor(
    layout: MachineLayout,
    argv: (layout: MachineLayout) => string[],
    book: ProcessBook,
    log: (line: string) => void,
  ) {
    this.layout = layout;
    this.#argv = argv;
    this.#book = book;
    this.#log = log;
  }

  /** Returns when its QMP sockets can be connected to. */
  async start(signal: AbortSignal): Promise<void> {
    const child = this.#spawn();
    const deadline = Date.now() + startLimitMs;
    while (!existsSync(this.layout.rackSocket)) {
      signal.throwIfAborted();
      if (child.exitCode !== null || Date.now() > deadline) {
        this.#stopping = true;
        throw new Error(`${this.layout.name}: QEMU did not start: ${this.#lastWords()}`);
      }
      await sleep(50);
    }
  }

  /** Takes a disk out, for good; a running QEMU keeps it until it ends. */
  removeDisk(id: string): void {
    this.#removed.add(id);
  }

  /** From now on its QEMU may end; somebody else ends it. */
  letGo(): void {
    this.#stopping = true;
  }

  #spawn(): ChildProcess {
    const { name, qmpSocket, rackSocket, serialFile, logFile } = this.layout;
    for (const socket of [qmpSocket, rackSocket]) rmSync(socket, { force: true });
    appendFileSync(serialFile, "");
    const disks = this.layout.disks.filter(({ id }) => !this.#removed.has(id));
    const argv = this.#argv({ ...this.layout, disks });
    const child = spawnBound(inNamespace(argv), { deathSignal: "KILL", logFile });
    const started = Date.now();
    child.on("error", (error) => this.#log(`${name}: QEMU could not be started: ${error.message}`));
    child.on("exit", (code, signal) => {
      if (this.#stopping) return;
      this.#log(`${name}: lost power: its QEMU ended (${signal ?? `exit code ${code}`})`);
      this.#failedStarts = Date.now() - started < minimumLifeMs ? this.#failedStarts + 1 : 0;
      if (this.#failedStarts >= 3) return this.#log(`${name}: QEMU does not stay up: ${this.#lastWords()}`);
      this.#spawn();
      this.#log(`${name}: stands by, powered off`);
    });
    const record = child.pid === undefined ? undefined : recordOf(name, child.pid);
    if (record) this.#book.put(record);
    return child;
  }

  #lastWords(): string {
    try {
      const words = readFileSync(this.layout.logFile, "utf8").trim().split("\n").slice(-2).join(" | ");
      return words || "it said nothing";
    } catch {
      return "it said nothing";
    }
  }
}
