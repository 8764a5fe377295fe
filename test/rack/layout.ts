// What the rack consists of, as pure data: its machines, where their files are, what they are called.
import path from "node:path";

export type Firmware = "bios" | "uefi";

export type RackOptions = {
  stateDir: string;
  nodes: number;
  /** The last so many machines have UEFI firmware. */
  uefi: number;
  memoryMib: number;
  /** As qemu-img takes it: 6G. */
  diskSize: string;
  /** Of the disks; 512 if absent. With 4096 only UEFI firmware can boot from them. */
  sectorBytes?: 512 | 4096;
  keepDisks: boolean;
};

export type MachineLayout = {
  name: string;
  firmware: Firmware;
  mac: string;
  tap: string;
  uuid: string;
  serialNumber: string;
  disks: DiskLayout[];
  /** The power driver's QMP socket, and the rack's own. */
  qmpSocket: string;
  rackSocket: string;
  /** What the machine has written to its serial port. */
  serialFile: string;
  varsFile: string;
  logFile: string;
};

export type DiskLayout = { id: string; file: string; serial: string; bootindex: number; sectorBytes: number };

export const namespace = "muster-lab";
export const bridge = "br0";
export const hostAddress = "10.77.0.1";
export const dhcpRange = "10.77.0.100-10.77.0.200";
export const nicId = "nic0";
const rackLimit = 32;
/** After the disks: a blank disk falls through to the network. */
export const nicBootindex = 10;

// The kernel's limit is 108 bytes with the final zero.
const socketPathLimit = 107;

export function labDirectory(stateDir: string): string {
  return path.join(stateDir, "lab");
}

export function operatorSocket(stateDir: string): string {
  return path.join(stateDir, "muster.sock");
}

/** The same options always give the same machines: names, addresses and identities are stable. */
export function planRack(options: RackOptions): MachineLayout[] {
  const { nodes, uefi } = options;
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > rackLimit) {
    throw new Error(`--nodes ${nodes}: a rack has 1 to ${rackLimit} machines`);
  }
  if (!Number.isInteger(uefi) || uefi < 0) throw new Error(`--uefi ${uefi}: is a number of machines`);
  return Array.from({ length: nodes }, (_, i) =>
    planMachine(options, i + 1, i >= nodes - uefi ? "uefi" : "bios"),
  );
}

function planMachine(options: RackOptions, number: number, firmware: Firmware): MachineLayout {
  const { stateDir, sectorBytes = 512 } = options;
  const name = `n${number}`;
  const hex = number.toString(16).padStart(2, "0");
  const file = (suffix: string) => path.join(labDirectory(stateDir), `${name}${suffix}`);
  const qmpSocket = file(".qmp");
  const rackSocket = file(".rack");
  if (Buffer.byteLength(rackSocket) > socketPathLimit) {
    throw new Error(`${rackSocket} is too long for a socket; use a state directory with a shorter path`);
  }
  return {
    name,
    firmware,
    mac: `52:54:00:77:00:${hex}`,
    tap: `tap${number}`,
    uuid: `6d757374-6572-4000-8000-5254007700${hex}`,
    serialNumber: `RACK-${name.toUpperCase()}`,
    disks: ["a", "b"].map((letter, i) => ({
      id: `disk${letter}`,
      file: file(`-${letter}.qcow2`),
      serial: `${name}${letter}`.toUpperCase(),
      bootindex: i + 1,
      sectorBytes,
    })),
    qmpSocket,
    rackSocket,
    serialFile: file(".serial"),
    varsFile: file(".vars"),
    logFile: file(".qemu.log"),
  };
}

/** The machines as an operator declares them. */
export function nodeManifests(machines: MachineLayout[]): string {
  return machines
    .map(
      (machine) => `kind: Node
name: ${machine.name}
macs: ["${machine.mac}"]
power:
  qmp:
    socket: ${JSON.stringify(machine.qmpSocket)}
    nic: ${nicId}
    disks: [${machine.disks.map((disk) => disk.id).join(", ")}]
labels:
  firmware: ${machine.firmware}
`,
    )
    .join("---\n");
}
