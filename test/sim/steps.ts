// The agent's step catalogue for a simulated machine: what each kind does to its disk, how long it takes, what it
// says in its log, and how it fails.
import { CommandError } from "../../node-agent/runner.ts";
import type { StepContext, StepDone, StepKind } from "../../node-agent/step.ts";
import type { AgentStepKind, Catalogue } from "../../node-agent/steps/perform.ts";
import type { Timers } from "../../node-agent/timers.ts";
import type { Assign } from "../../proto/gen/muster/v1/agent_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { emptyDisk } from "./disk.ts";
import type { Boot, Machine } from "./machine.ts";
import type { World } from "./world.ts";

type Stage = {
  world: World;
  machine: Machine;
  boot: Boot;
  timers: Timers;
  /** The attempt that the agent has just begun. */
  begun(): Assign;
};

const kinds: readonly AgentStepKind[] = [
  "partition",
  "image",
  "seed",
  "bootloader",
  "reboot",
  "shell",
  "uploadFile",
  "puppet",
  "wipe",
  "restart",
];

const durationsMs: Partial<Record<StepKind, [number, number]>> = {
  partition: [3_000, 40_000],
  image: [10_000, 400_000],
  seed: [1_000, 10_000],
  bootloader: [2_000, 30_000],
  reboot: [100, 1_000],
  wipe: [2_000, 60_000],
  restart: [100, 1_000],
};

export function simulatedCatalogue(stage: Stage): Catalogue {
  const steps = kinds.map((kind) => [
    kind,
    (_action: unknown, context: StepContext) => perform(stage, kind, context),
  ]);
  return Object.fromEntries(steps) as Catalogue;
}

async function perform(stage: Stage, kind: AgentStepKind, context: StepContext): Promise<StepDone> {
  const { world, machine, boot, timers } = stage;
  const { random, invariants } = world;
  const assign = stage.begun();
  invariants.started(assign, boot.environment, machine);
  const missing = begin(kind, machine);
  if (missing && !world.faults.restores) invariants.violated(`${assign.token} was started, but ${missing}`);
  // The state went back, the disk did not.
  else if (missing) throw new CommandError(missing, 1);
  const fails = world.stepFails(assign);
  const [leastMs, mostMs] = durationsMs[kind] ?? [500, 90_000];
  const tookMs = random.between(leastMs, mostMs) * (fails ? random.next() : 1);
  const pieces = random.between(1, 5);
  for (let piece = 1; piece <= pieces; piece++) {
    say(world, assign, context, piece);
    context.progress({ currentBytes: BigInt(piece), totalBytes: BigInt(pieces) });
    await passes(timers, tookMs / pieces, context.signal, random.between(1, 5_000));
  }
  if (fails) throw new CommandError("`program` failed with exit code 1", 1);
  complete(kind, machine, boot, assign);
  invariants.done(assign);
  // A restart that says that all was well already is none.
  const isSame = kind === "shell" && world.faulty && random.chance(0.5);
  return { result: "done", outcome: isSame ? TaskOutcome.OK : TaskOutcome.CHANGED };
}

function say({ random, books }: World, assign: Assign, { log }: StepContext, piece: number): void {
  for (let line = random.between(0, 3); line > 0; line--) {
    const text = `${piece}.${line} of ${assign.token} ${"#".repeat(random.between(0, 60))}`;
    books.written(assign, text);
    log(text);
  }
}

/** Ends early when the step is stopped; its program takes a moment to die. */
function passes(timers: Timers, ms: number, signal: AbortSignal, dyingMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      takeBack();
      timers.after(dyingMs, () => reject(signal.reason));
    };
    const takeBack = timers.after(ms, () => {
      signal.removeEventListener("abort", stop);
      resolve();
    });
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
}

/** From its first moment, a destructive step has destroyed. Says what is missing for the step, if anything. */
function begin(kind: AgentStepKind, machine: Machine): string | undefined {
  const { disk } = machine;
  switch (kind) {
    case "partition":
    case "wipe":
      machine.disk = emptyDisk();
      return undefined;
    case "image":
      if (!disk.partitioned) return "the disk has no partitions";
      machine.disk = { ...emptyDisk(), partitioned: true };
      return undefined;
    case "seed":
    case "bootloader":
      return disk.imageDigest ? undefined : "there is no image on the disk";
    case "reboot":
      return disk.bootloader && disk.certificate ? undefined : "the disk is not ready to boot";
    default:
      return undefined;
  }
}

function complete(kind: AgentStepKind, { disk }: Machine, boot: Boot, { action }: Assign): void {
  const done = action?.kind;
  if (kind === "partition") disk.partitioned = true;
  if (kind === "bootloader") disk.bootloader = true;
  if (done?.case === "image") disk.imageDigest = done.value.targets[0]?.imageDigest ?? "";
  if (done?.case === "reboot") disk.rootDevice = done.value.rootDevice;
  if (done?.case === "seed") {
    disk.hostname = done.value.hostname;
    disk.certificate = boot.certificate;
    disk.journal = new Map();
  }
}
