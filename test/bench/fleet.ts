// All fake agents: a few processes, because one would be the bottleneck.
import { setTimeout as sleep } from "node:timers/promises";
import { Child } from "./children.ts";
import type { EnrollRequest, FleetStatus, OpenRequest, StartRequest } from "./fleet-member.ts";

const processes = 4;
const pollMs = 20;

export class Fleet implements AsyncDisposable {
  readonly size: number;
  readonly #members: Child[];

  constructor(size: number) {
    this.size = size;
    this.#members = Array.from(
      { length: processes },
      (_, i) => new Child(`fleet ${i}`, "test/bench/fleet-member.ts", []),
    );
  }

  /** Makes the machines with their keys. */
  async make(): Promise<void> {
    const share = (i: number) => Math.floor((this.size * i) / processes);
    await Promise.all(
      this.#members.map((member, i) =>
        member.ask("make", { first: share(i), count: share(i + 1) - share(i) }),
      ),
    );
  }

  /** Every machine without a certificate asks once; says who has to wait. */
  async enroll(request: EnrollRequest): Promise<string[]> {
    return (await this.#all<string[]>("enroll", request)).flat();
  }

  /** The nodes as which the machines have joined. */
  async names(): Promise<string[]> {
    return (await this.#all<string[]>("names")).flat();
  }

  async open(request: OpenRequest): Promise<void> {
    await this.#all("open", request);
  }

  /** Real agents take the place of those that only speak the protocol. */
  async start(request: StartRequest): Promise<void> {
    await this.#all("start", request);
  }

  async mark(): Promise<void> {
    await this.#all("mark");
  }

  async beat(everyMs: number): Promise<void> {
    await this.#all("beat", everyMs);
  }

  async status(): Promise<FleetStatus> {
    const all = await this.#all<FleetStatus>("status");
    const sum = (count: (status: FleetStatus) => number) => all.reduce((total, one) => total + count(one), 0);
    return { open: sum(({ open }) => open), back: sum(({ back }) => back) };
  }

  /** Waits until every agent has been welcomed since the last open() or mark(). Says how many have. */
  async whole(limitMs: number): Promise<number> {
    const deadline = performance.now() + limitMs;
    while (true) {
      const { back } = await this.status();
      if (back === this.size || performance.now() > deadline) return back;
      await sleep(pollMs);
    }
  }

  /** How many agents have had so many results of a deployment acknowledged. */
  async acknowledged(deployment: string, steps: number): Promise<number> {
    const all = await this.#all<number>("acknowledged", { deployment, steps });
    return all.reduce((total, one) => total + one, 0);
  }

  async close(): Promise<void> {
    await this.#all("close");
  }

  get cpuSeconds(): number {
    return this.#members.reduce((total, { cpuSeconds }) => total + cpuSeconds, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map((member) => member[Symbol.asyncDispose]()));
  }

  #all<T>(call: string, value: unknown = {}): Promise<T[]> {
    return Promise.all(this.#members.map((member) => member.ask<T>(call, value)));
  }
}
