// Brings the faults of a world about, each at its random moment.
import { holdSteps, resumeDeployment, stopDeployment } from "../../daemon/domain/control.ts";
import { schedule, stirNode } from "../../daemon/domain/schedule.ts";
import { Deployment_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

export function scheduleFaults(world: World): void {
  const { random, faults, network, daemon, timeline } = world;
  const startMs = timeline.nowMs;
  const each = (count: number, work: (machine: Machine) => void | Promise<void>) => {
    for (let i = 0; i < count; i++) {
      timeline.after(random.between(0, faults.lastMs), () => {
        const machine = random.pick([...world.machines.values()]);
        return machine && work(machine);
      });
    }
  };
  const call = (name: string) => [...(daemon.life?.calls ?? [])].find(({ node }) => node === name);
  each(faults.daemonCrashes, () => daemon.crash("at any time"));
  each(faults.agentCrashes, (machine) => machine.killAgent("for no reason"));
  each(faults.powerLosses, (machine) => machine.switchOff("it has lost power"));
  each(faults.resets, (machine) => machine.restart("somebody has pressed reset"));
  each(faults.cuts, ({ name }) => call(name)?.break(random.chance(0.5)));
  each(faults.partitions, ({ name }) => {
    const lengthMs = random.between(500, random.chance(0.3) ? 120_000 : 10_000);
    network.partition(name, lengthMs);
    if (lengthMs > 15_000 && random.chance(0.5)) call(name)?.break(false);
  });
  each(faults.restores, async () => {
    const backup = await daemon.backUp();
    const leftMs = startMs + faults.lastMs - timeline.nowMs;
    timeline.after(random.between(0, Math.min(leftMs, 900_000)), () => daemon.restore(backup));
  });
  each(faults.daemonClockJumps, () => {
    daemon.clockOffsetMs += jump(world);
    timeline.trace(`the daemon's clock is off by ${daemon.clockOffsetMs} ms`);
  });
  each(faults.nodeClockJumps, (machine) => {
    machine.clockOffsetMs += jump(world);
  });
  each(faults.stops, () => stop(world, random.chance(0.3)));
  each(faults.holds, (machine) => hold(world, machine));
  each(faults.maintenances, (machine) => maintain(world, machine));
}

/** Minutes to days, forth or back. */
function jump({ random }: World): number {
  const ms = random.pick([90_000, 20 * 60_000, 5 * 3_600_000, 40 * 24 * 3_600_000]) ?? 0;
  return random.chance(0.5) ? ms : -ms;
}

function stop(world: World, force: boolean): void {
  const { daemon, timeline, random } = world;
  timeline.trace(`the operator presses stop${force ? " by force" : ""}`);
  daemon.decide((decision) => {
    const deployment = decision.state.deployment("demo");
    if (deployment) stopDeployment(decision, deployment, force);
  });
  if (!random.chance(0.3)) return;
  timeline.after(random.between(100, 20_000), () => {
    daemon.decide((decision) => {
      const now = decision.state.deployment("demo");
      const isStopping = now?.state === Deployment_State.STOPPING && !now.forced;
      if (now && (isStopping || now.state === Deployment_State.STOPPED)) resumeDeployment(decision, now);
    });
  });
}

function hold({ daemon, random }: World, { name }: Machine): void {
  const word = random.pick(["prepare", `${name}/bootloader`, `${name}/watch`]) ?? "";
  daemon.decide((decision) => {
    const deployment = decision.state.deployment("demo");
    if (deployment && deployment.state !== Deployment_State.SUCCEEDED)
      holdSteps(decision, deployment, [word]);
  });
}

/** For a while; the operator ends what is left of it. */
function maintain(world: World, { name }: Machine): void {
  setMaintenance(world, name, true);
  world.timeline.after(world.random.between(1_000, 300_000), () => setMaintenance(world, name, false));
}

export function setMaintenance({ daemon, timeline }: World, name: string, maintenance: boolean): void {
  timeline.trace(`maintenance of ${name}: ${maintenance}`);
  daemon.decide((decision) => {
    const node = decision.state.nodes.get(name);
    if (!node) return;
    stirNode(decision, decision.node(node, { maintenance }));
    schedule(decision);
  });
}
