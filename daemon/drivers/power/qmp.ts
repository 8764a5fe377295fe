// The power switch and boot order of a QEMU machine, by its QMP socket. A machine that is "off" is a QEMU that
// has been reset and does not run: its next `cont` is a power-on.
import { setTimeout as delay } from "node:timers/promises";
import type { QmpPower } from "../../../proto/gen/muster/v1/manifest_pb.ts";
import { BootTarget, PowerAction, PowerState } from "../../../proto/gen/muster/v1/node_pb.ts";
import { type PowerDriver, PowerError } from "../../domain/ports.ts";
import { QmpConnection } from "./qmp-connection.ts";

/** Runs one operation after the other; an operation's failure does not concern the next. */
export type Turn = <T>(operation: () => Promise<T>) => Promise<T>;

const offStates = ["prelaunch", "shutdown", "paused", "postmigrate"];
// Any free numbers do; these leave room for devices that the rack puts first by hand.
const firstBootIndex = 100;

export function createQmpPower(spec: QmpPower, turn: Turn, timeoutMs = 5000): PowerDriver {
  const inTurn = <T>(operation: (qmp: QmpConnection) => Promise<T>): Promise<T> =>
    turn(async () => {
      using qmp = await QmpConnection.open(spec.socket, timeoutMs);
      return await operation(qmp);
    });
  return {
    state: () => inTurn(readPower),
    set: (action) => inTurn((qmp) => setPower(qmp, spec.socket, action)),
    setBoot: (target) =>
      inTurn(async (qmp) => setBootOrder(qmp, await withoutLostDisks(qmp, spec, bootOrder(spec, target)))),
  };
}

async function setPower(qmp: QmpConnection, socket: string, action: PowerAction): Promise<PowerState> {
  const isOn = (await readPower(qmp)) === PowerState.ON;
  switch (action) {
    case PowerAction.ON:
      if (!isOn) await powerOn(qmp, socket);
      break;
    case PowerAction.OFF:
      if (isOn) await powerOff(qmp, socket);
      break;
    case PowerAction.CYCLE:
      if (isOn) await powerOff(qmp, socket);
      await powerOn(qmp, socket);
      break;
    default:
      throw new PowerError(`power action ${action} is not one of on, off and cycle`);
  }
  return await readPower(qmp);
}

async function powerOff(qmp: QmpConnection, socket: string): Promise<void> {
  await qmp.execute("stop");
  await reset(qmp, socket);
}

// The firmware is told the boot order at reset, so a power-on is always a reset first: the order may have been
// changed while the machine was off. It is also what QEMU wants after a guest's shutdown.
async function powerOn(qmp: QmpConnection, socket: string): Promise<void> {
  await reset(qmp, socket);
  await qmp.execute("cont");
}

// QEMU carries out a reset on its own time; `cont` before that would undo nothing and start the old system.
async function reset(qmp: QmpConnection, socket: string): Promise<void> {
  await qmp.execute("system_reset");
  for (let tries = 0; tries < 50; tries++) {
    if ((await readStatus(qmp)) === "prelaunch") return;
    await delay(20);
  }
  throw new PowerError(
    `QMP socket ${socket}: the machine is "${await readStatus(qmp)}" and does not reset; end its QEMU and start it again`,
  );
}

async function readPower(qmp: QmpConnection): Promise<PowerState> {
  return offStates.includes(await readStatus(qmp)) ? PowerState.OFF : PowerState.ON;
}

async function readStatus(qmp: QmpConnection): Promise<string> {
  const answer = (await qmp.execute("query-status")) as { status: string };
  return answer.status;
}

function bootOrder(spec: QmpPower, target: BootTarget): string[] {
  switch (target) {
    case BootTarget.DISK:
      return [...spec.disks, spec.nic];
    case BootTarget.RAMDISK:
      return [spec.nic, ...spec.disks];
    default:
      throw new PowerError(`QMP socket ${spec.socket}: boot target ${target} is neither ramdisk nor disk`);
  }
}

/** A disk that was taken out does not keep the machine from starting from the others. */
async function withoutLostDisks(qmp: QmpConnection, spec: QmpPower, order: string[]): Promise<string[]> {
  const devices = (await qmp.execute("qom-list", { path: "/machine/peripheral" })) as { name: string }[];
  const isThere = (id: string) => devices.some(({ name }) => name === id);
  return spec.disks.some(isThere) ? order.filter((id) => id === spec.nic || isThere(id)) : order;
}

async function setBootOrder(qmp: QmpConnection, order: string[]): Promise<void> {
  const current: number[] = [];
  for (const id of order) current.push(await readBootIndex(qmp, id));
  const rightAlready = current.every((index, i) => index >= 0 && (i === 0 || index > (current[i - 1] ?? 0)));
  if (rightAlready) return;
  // QEMU refuses a number that any device has, even this one: give up all before taking any.
  for (const id of order) await writeBootIndex(qmp, id, -1);
  for (const [i, id] of order.entries()) await writeBootIndex(qmp, id, firstBootIndex + i);
}

async function readBootIndex(qmp: QmpConnection, id: string): Promise<number> {
  return (await qmp.execute("qom-get", bootIndexOf(id))) as number;
}

async function writeBootIndex(qmp: QmpConnection, id: string, value: number): Promise<void> {
  await qmp.execute("qom-set", { ...bootIndexOf(id), value });
}

const bootIndexOf = (id: string) => ({ path: `/machine/peripheral/${id}`, property: "bootindex" });
