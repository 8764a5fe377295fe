// What every step kind looks like to the session that runs it.

import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { ImageSource as DeliverySource } from "../proto/gen/muster/v1/delivery_pb.ts";
import type { DiskErasure } from "../proto/gen/muster/v1/erase_pb.ts";
import type { Tree } from "../proto/gen/muster/v1/files_pb.ts";
import type { Delivery } from "../proto/gen/muster/v1/manifest_pb.ts";
import type {
  StepAction,
  StepChangeSchema,
  StepInputs,
  TaskOutcome,
} from "../proto/gen/muster/v1/step_pb.ts";
import type { LogSink, Runner } from "./runner.ts";

export type StepKind = NonNullable<StepAction["kind"]["case"]>;
export type ActionOf<K extends StepKind> = Extract<StepAction["kind"], { case: K }>["value"];

export type StepReport = {
  currentBytes: bigint;
  totalBytes: bigint;
  movedBytes: bigint;
  skippedBytes: bigint;
  writtenBytes: bigint;
  verifiedBytes: bigint;
  activity: string;
  /** Things done and to do, where a step counts these instead of bytes. */
  currentItems: number;
  totalItems: number;
  changedItems: number;
  failedItems: number;
};

/** Where an image is to be had, best first, and which other images the node's disks may still hold. */
export type LocatedImage = { sources: DeliverySource[]; formerDigests: string[] };

/** What the daemon knows of images: its AgentService. The bytes themselves come from the sources that it names. */
export type ImageSource = {
  /** `digest`: hexadecimal. */
  locate(digest: string, delivery: Delivery, signal: AbortSignal): Promise<LocatedImage>;
  /** Tells the daemon that a source gave something other than what was asked for. */
  report(digest: string, source: DeliverySource, fault: string): Promise<void>;
};

/** Gives the content of a secret by its name, to a step whose plan names it. */
export type SecretSource = (name: string, signal: AbortSignal) => Promise<Uint8Array>;

/** The files beside manifests that a step's inputs name, and where it puts what it fetches. */
export type FileSource = {
  /** `digest`: hexadecimal, one of `inputs.sources`. */
  tree(digest: string, signal: AbortSignal): Promise<Tree>;
  /** The content of a file of that tree, verified when it has ended. */
  read(tree: string, digest: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Stores what a fetch brings, whole; answers with its size and digest (hexadecimal). */
  put(content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<{ size: number; digest: string }>;
};

/** The agent's standing with the daemon, as files hold it. */
export type Identity = {
  node: string;
  /** The text of /etc/muster/join.json. */
  joinBundle: string;
  /** PEM (SPKI) of the Ed25519 key that signs image manifests. */
  imageKey: string;
  privateKey: string;
  certificate: string;
};

export type StepContext = {
  run: Runner;
  log: LogSink;
  progress(report: Partial<StepReport>): void;
  /** A disk has been erased, or could not be: goes into the result, also of a step that fails afterwards. */
  erased(erasure: DiskErasure): void;
  /** Aborted by a cancel or at the deadline. */
  signal: AbortSignal;
  /** `DEPLOYMENT/NODE/TASK`: the same at every try. */
  step: string;
  /** 1 for the first try of this step in this deployment. */
  attempt: number;
  images: ImageSource;
  secrets: SecretSource;
  identity: Identity;
  files: FileSource;
  /** Only say what would change, and change nothing. */
  check: boolean;
  inputs: StepInputs;
  /** What templates can read, but for secrets: see docs/tasks.md. */
  values: JsonObject;
  /** The secrets of the inputs, by the names under which the action sees them. The log does not show them. */
  secretValues(): Promise<Record<string, string>>;
};

/** What a config task has done. `result` is one line. */
export type StepDone = {
  result: string;
  outcome?: TaskOutcome;
  facts?: JsonObject;
  changes?: MessageInitShape<typeof StepChangeSchema>[];
};

/** Does the step and says in one line what was done; throws with thing, cause and remedy. */
export type Step<K extends StepKind> = (
  action: ActionOf<K>,
  context: StepContext,
) => Promise<string | StepDone>;
