// The power drivers of the simulated machines: every operation takes time, may fail, and a daemon that dies in
// the middle of one may or may not have got it across.
import { type PowerDriver, type PowerDrivers, PowerError } from "../../daemon/domain/ports.ts";
import { createTurn } from "../../daemon/drivers/power/drivers.ts";
import type { Turn } from "../../daemon/drivers/power/qmp.ts";
import { PowerAction, PowerState } from "../../proto/gen/muster/v1/node_pb.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

export class PowerPlant {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** For one life of the daemon. */
  drivers(alive: () => boolean): PowerDrivers {
    const turns = new Map<string, Turn>();
    return (spec): PowerDriver => {
      const name = spec.driver.case === "qmp" ? spec.driver.value.socket : "";
      const machine = this.#world.machines.get(name);
      if (!machine) throw new PowerError(`there is no machine ${name}`);
      const turn = turns.get(name) ?? createTurn();
      turns.set(name, turn);
      const act = <T>(work: () => T, extraMs = 0) => this.#act(alive, machine, work, extraMs);
      return {
        state: () => turn(() => act(() => stateOf(machine))),
        setBoot: (target) =>
          turn(() =>
            act(() => {
              machine.bootsFirst = target;
            }),
          ),
        set: (action) =>
          turn(async () => {
            if (action !== PowerAction.ON) await act(() => this.#cut(machine));
            if (action !== PowerAction.OFF) await act(() => machine.switchOn());
            // Some controllers take longer to answer than a quick machine to boot.
            await act(() => {}, this.#world.random.chance(0.1) ? 60_000 : 0);
            return stateOf(machine);
          }),
      };
    };
  }

  #act<T>(alive: () => boolean, machine: Machine, work: () => T, extraMs: number): Promise<T> {
    const { timeline, random } = this.#world;
    return new Promise((resolve, reject) => {
      if (!alive()) return;
      timeline.after(extraMs + random.between(50, 3_000), () => {
        if (!alive() && random.chance(0.5)) return;
        if (this.#world.powerFails(machine.name)) {
          timeline.trace(`the power driver of ${machine.name} fails`);
          return reject(new PowerError(`${machine.name}'s BMC does not answer; look at its network`));
        }
        const value = work();
        if (alive()) resolve(value);
      });
    });
  }

  #cut(machine: Machine): void {
    const token = machine.agent?.running;
    if (token && this.#world.invariants.isAwaited(token)) {
      this.#world.invariants.violated(`the daemon cuts the power of ${machine.name} while ${token} runs`);
    }
    machine.switchOff("by its power driver");
  }
}

function stateOf(machine: Machine): PowerState {
  return machine.on ? PowerState.ON : PowerState.OFF;
}
