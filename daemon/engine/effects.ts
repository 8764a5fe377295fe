// Carries out what decisions asked for. Nothing here decides: an outcome comes back as a new decision.

import { create } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { AssignSchema } from "../../proto/gen/muster/v1/agent_pb.ts";
import { type PlannedStep, Purpose } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { BootTarget, PowerAction, PowerState } from "../../proto/gen/muster/v1/node_pb.ts";
import type { Effect } from "../domain/decision.ts";
import { planIndex } from "../domain/plan-index.ts";
import type { PowerDriver, PowerDrivers } from "../domain/ports.ts";
import { powerDone, powerRead } from "../domain/power.ts";
import { isActive } from "../domain/step-book.ts";
import { isProvisioning } from "../domain/tasks.ts";
import { valuesOf } from "../domain/values.ts";
import type { Engine } from "./engine.ts";
import type { Sessions } from "./sessions.ts";
import type { StepLogs } from "./step-logs.ts";

export class Effects {
  readonly #power: PowerDrivers;
  readonly #sessions: Sessions;
  readonly #logs: Pick<StepLogs, "remove">;
  readonly #log: Logger;
  readonly #running = new Set<Promise<void>>();
  readonly #reading = new Set<string>();

  constructor(power: PowerDrivers, sessions: Sessions, logs: Pick<StepLogs, "remove">, log: Logger) {
    this.#power = power;
    this.#sessions = sessions;
    this.#logs = logs;
    this.#log = log;
  }

  act(engine: Engine, effects: readonly Effect[]): void {
    for (const effect of effects) {
      const run = this.#act(engine, effect)
        .catch((error: unknown) => this.#log.error({ error, effect }, "an effect failed"))
        .finally(() => this.#running.delete(run));
      this.#running.add(run);
    }
  }

  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #act(engine: Engine, effect: Effect): Promise<void> {
    switch (effect.do) {
      case "assign":
        return this.#assign(engine, effect.step);
      case "cancel":
        return this.#sessions.send(effect.node, { case: "cancel", value: { token: effect.token } });
      case "acknowledge":
        return this.#sessions.send(effect.node, { case: "resultAck", value: { token: effect.token } });
      case "bootDiskThenAssign": {
        const node = engine.state.step(effect.step)?.node ?? "";
        const error = await this.#drive(engine, node, (driver) => driver.setBoot(BootTarget.DISK));
        if (error) await engine.decide((decision) => powerDone(decision, effect.token, error));
        else this.#assign(engine, effect.step);
        return;
      }
      case "bootRamdisk": {
        const error = await this.#drive(engine, effect.node, bootFromNetwork);
        await engine.decide((decision) => powerDone(decision, effect.token, error));
        return;
      }
      case "powerOn": {
        const target = engine.state.nodes.get(effect.node)?.bootTarget || BootTarget.RAMDISK;
        const error = await this.#drive(engine, effect.node, async (driver) => {
          await driver.setBoot(target);
          await driver.set(PowerAction.ON);
        });
        if (error) this.#log.warn({ node: effect.node }, error);
        return;
      }
      case "readPower":
        return this.#readPower(engine, effect.node);
      case "removeLogs":
        return this.#logs.remove(effect.deployment);
    }
  }

  /** Sends the running attempt, unless it has ended meanwhile. */
  #assign(engine: Engine, name: string): void {
    const step = engine.state.step(name);
    if (!step || !isActive(step)) return;
    const deployment = engine.state.deployments.get(step.deployment);
    const planned = planIndex(deployment?.plan).steps.get(`${step.node}/${step.task}`);
    if (!deployment || !planned) return;
    const { token, attempt, fence } = step;
    const { action, timeout, inputs } = planned;
    const assign = create(AssignSchema, {
      token,
      fence,
      step: name,
      attempt,
      action,
      timeout,
      inputs,
      values: readsValues(planned) ? valuesOf(engine.state, deployment, planned) : undefined,
      check: deployment.plan?.purpose === Purpose.CHECK,
    });
    this.#sessions.send(step.node, { case: "assign", value: assign });
  }

  /** The error to show to the operator, or the empty string. Without a driver there is nothing to do. */
  async #drive(engine: Engine, name: string, work: (driver: PowerDriver) => Promise<void>): Promise<string> {
    const power = engine.state.nodes.get(name)?.spec?.power;
    if (!power) return "";
    try {
      await work(this.#power(power));
      return "";
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #readPower(engine: Engine, name: string): Promise<void> {
    if (this.#reading.has(name)) return;
    this.#reading.add(name);
    let power: PowerState = PowerState.UNSPECIFIED;
    const error = await this.#drive(engine, name, async (driver) => {
      power = await driver.state();
    });
    this.#reading.delete(name);
    if (error) this.#log.warn({ node: name }, error);
    else if (power !== PowerState.UNSPECIFIED) {
      await engine.decide((decision) => {
        const node = decision.state.nodes.get(name);
        if (node) powerRead(decision, node, power);
      });
    }
  }
}

/** Provisioning has all that it needs in its action, and some tasks have nothing to put values into. */
function readsValues({ task, action, inputs }: PlannedStep): boolean {
  const doesNothing = action?.kind.case === "noop" || action?.kind.case === "restart";
  return !isProvisioning(task) && (!doesNothing || !!inputs?.testPre || !!inputs?.testPost);
}

async function bootFromNetwork(driver: PowerDriver): Promise<void> {
  await driver.setBoot(BootTarget.RAMDISK);
  const on = (await driver.state()) === PowerState.ON;
  await driver.set(on ? PowerAction.CYCLE : PowerAction.ON);
}
