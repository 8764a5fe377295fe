// Which driver switches which machine.
import { type PowerDriver, type PowerDrivers, PowerError } from "../../domain/ports.ts";
import { createQmpPower, type Turn } from "./qmp.ts";

/** Drivers of the same machine share its turn: two operations never meet on one QMP socket. */
export function createPowerDrivers(): PowerDrivers {
  const turns = new Map<string, Turn>();
  return (spec): PowerDriver => {
    switch (spec.driver.case) {
      case "qmp": {
        const { socket } = spec.driver.value;
        const turn = turns.get(socket) ?? createTurn();
        turns.set(socket, turn);
        return createQmpPower(spec.driver.value, turn);
      }
      case undefined:
        throw new PowerError("the node's power names no driver; give it one, such as power: {qmp: {...}}");
    }
  };
}

export function createTurn(): Turn {
  let last: Promise<unknown> = Promise.resolve();
  return (operation) => {
    const result = last.then(operation);
    last = result.catch(() => {});
    return result;
  };
}
