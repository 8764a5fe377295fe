// A rack of one machine for the scenarios: up, with its image in the store and its agent connected.
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { applyManifests, buildImages, joinNodes, registerImage } from "./bring-up.ts";
import { demoManifests } from "./demo-manifests.ts";
import { type MachineLayout, planRack, type RackOptions } from "./layout.ts";
import { lines } from "./lines.ts";
import { Operator } from "./operator.ts";
import { Rack } from "./rack.ts";
import { freshStateDirectory } from "./state-directory.ts";

export class OneMachine implements AsyncDisposable {
  readonly machine: MachineLayout;
  readonly operator: Operator;
  readonly stateDir: string;
  /** As it first joined, in its ramdisk. */
  readonly joined: Node;
  /** Where the image builder has the image. */
  readonly imageDirectory: string;
  readonly signal: AbortSignal;
  readonly #rack: Rack;

  /** Everything is at most as old as the last build: state, keys of nodes and disks are new. */
  static async up(signal: AbortSignal): Promise<OneMachine> {
    const stateDir = freshStateDirectory();
    const machines = { nodes: 1, uefi: 0, memoryMib: 1024, diskSize: "6G", keepDisks: false };
    const options: RackOptions = { stateDir, ...machines };
    const imageDirectory = await buildImages({ stateDir, signal, log: lines });
    const rack = await Rack.up(options, lines, signal);
    const operator = new Operator(stateDir);
    try {
      await registerImage(operator, imageDirectory, lines);
      await applyManifests(operator, demoManifests(1), lines);
      const [joined] = await joinNodes(operator, options, { log: lines, signal });
      const [machine] = planRack(options);
      if (!joined || !machine) throw new Error("the rack of one has no machine");
      return new OneMachine({ machine, operator, stateDir, joined, imageDirectory, signal }, rack);
    } catch (error) {
      operator[Symbol.dispose]();
      await rack.down();
      throw error;
    }
  }

  constructor(
    parts: Pick<OneMachine, "machine" | "operator" | "stateDir" | "joined" | "imageDirectory" | "signal">,
    rack: Rack,
  ) {
    this.machine = parts.machine;
    this.operator = parts.operator;
    this.stateDir = parts.stateDir;
    this.joined = parts.joined;
    this.imageDirectory = parts.imageDirectory;
    this.signal = parts.signal;
    this.#rack = rack;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.operator[Symbol.dispose]();
    await this.#rack.down();
  }
}
