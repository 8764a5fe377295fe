// What `muster lab status` shows: read from the processes and QEMUs themselves.
import { statSync } from "node:fs";
import { type MachineLayout, planRack } from "./layout.ts";
import { isRunning } from "./processes.ts";
import { askQmp } from "./qmp.ts";
import { type Owner, processBook } from "./rack.ts";

export async function printStatus(owner: Owner): Promise<void> {
  const { stateDir, supervisor, accelerator } = owner;
  const book = processBook(stateDir);
  const daemon = book.get("daemon");
  console.log(`state directory  ${stateDir}`);
  console.log(`supervisor       pid ${supervisor.pid}`);
  console.log(
    `accelerator      ${accelerator ? `${accelerator.name} (${accelerator.why})` : "not chosen yet"}`,
  );
  console.log(
    `daemon           ${daemon && isRunning(daemon, stateDir) ? `pid ${daemon.pid}` : "not the rack's"}`,
  );
  console.log();
  const row = (...cells: string[]) =>
    console.log(
      cells
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join(" ")
        .trim(),
    );
  const widths = [6, 9, 19, 7, 12, 11];
  row("NODE", "FIRMWARE", "MAC", "PID", "POWER", "DISKS USED");
  for (const machine of planRack(owner.options)) {
    const pid = book.get(machine.name)?.pid;
    const cells = [machine.name, machine.firmware, machine.mac, String(pid ?? "-")];
    row(...cells, await power(machine), diskUse(machine));
  }
}

async function power(machine: MachineLayout): Promise<string> {
  try {
    const { status } = (await askQmp(machine.rackSocket, "query-status")) as { status: string };
    return { prelaunch: "off", shutdown: "off", running: "on" }[status] ?? status;
  } catch {
    return "no QEMU";
  }
}

function diskUse(machine: MachineLayout): string {
  try {
    return machine.disks.map(({ file }) => `${Math.round(statSync(file).blocks / 2048)} MiB`).join(" + ");
  } catch {
    return "-";
  }
}
