// The way between the daemon and each node.
import type { World } from "./world.ts";

export class Network {
  readonly #world: World;
  readonly #cutOffUntilMs = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  partition(node: string, lengthMs: number): void {
    this.#world.timeline.trace(`network to ${node} is down for ${lengthMs} ms`);
    this.#cutOffUntilMs.set(node, this.#world.timeline.nowMs + lengthMs);
  }

  isUp(node: string): boolean {
    return this.#world.timeline.nowMs >= (this.#cutOffUntilMs.get(node) ?? 0);
  }

  /** What is sent during an outage arrives after it. */
  delayMs(node: string): number {
    const { timeline, random } = this.#world;
    const outageMs = Math.max(0, (this.#cutOffUntilMs.get(node) ?? 0) - timeline.nowMs);
    return outageMs + (random.chance(0.05) ? random.between(100, 3_000) : random.between(1, 30));
  }
}
