// A rack of one machine for the scenarios: up, with its image in the store and its agent connected.
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { applyManifests, buildImages, joinNodes, registerImage } from "./bring-up.ts";
import { demoCluster, demoManifests, type ManifestText } from "./demo-manifests.ts";
import { assertSucceeded, type Ended, followDeployment, planCluster, startDeployment } from "./deployment.ts";
import { type Firmware, type MachineLayout, planRack, type RackOptions } from "./layout.ts";
import { lines } from "./lines.ts";
import { Operator } from "./operator.ts";
import { Rack } from "./rack.ts";
import { freshStateDirectory } from "./state-directory.ts";

/** Of each disk, unless a scenario says otherwise. */
export const diskSize = "6G";
const deployLimitMs = 20 * 60_000;

/** What a scenario may have otherwise. */
export type OneMachineOptions = {
  firmware?: Firmware;
  sectorBytes?: RackOptions["sectorBytes"];
  memoryMib?: number;
  /** Of each of its two disks. */
  diskSize?: string;
  manifests?: ManifestText[];
};

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
  static async up(signal: AbortSignal, given: OneMachineOptions = {}): Promise<OneMachine> {
    const { firmware = "bios", sectorBytes = 512, memoryMib = 1024, manifests = demoManifests(1) } = given;
    const stateDir = freshStateDirectory();
    const machines = { nodes: 1, uefi: firmware === "uefi" ? 1 : 0, memoryMib, keepDisks: false };
    const disks = { diskSize: given.diskSize ?? diskSize, sectorBytes };
    const options: RackOptions = { stateDir, ...machines, ...disks };
    const imageDirectory = await buildImages({ stateDir, signal, log: lines });
    const rack = await Rack.up(options, lines, signal);
    const operator = new Operator(stateDir);
    try {
      await registerImage(operator, imageDirectory, lines);
      await applyManifests(operator, manifests, lines);
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

  /** Deploys the cluster as its manifests are now; throws if that does not succeed. */
  async deploy(): Promise<Ended> {
    const { operator, signal } = this;
    const name = await startDeployment(operator, await planCluster(operator, demoCluster));
    const ended = await followDeployment(operator, name, { log: lines, signal, limitMs: deployLimitMs });
    assertSucceeded(ended);
    return ended;
  }

  /** Takes a disk out; it stays in until the machine's plug is pulled. */
  removeDisk(id: string): void {
    for (const machine of this.#rack.machines) machine.removeDisk(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.operator[Symbol.dispose]();
    await this.#rack.down();
  }
}
