// What one attempt works with: the step's context, and what it leaves behind beside its outcome. Everything that the
// step says goes through the redactor, which knows every secret that it was given.
import { create } from "@bufbuild/protobuf";
import type { Assign } from "../proto/gen/muster/v1/agent_pb.ts";
import type { DiskErasure } from "../proto/gen/muster/v1/erase_pb.ts";
import { StepInputsSchema } from "../proto/gen/muster/v1/step_pb.ts";
import { Doing } from "./doing.ts";
import type { Outbox } from "./outbox.ts";
import { Redactor } from "./redact.ts";
import { createRunner } from "./runner.ts";
import type { FileSource, Identity, ImageSource, SecretSource, StepContext, StepReport } from "./step.ts";

/** Where steps have from what the daemon does not send along. */
export type Sources = {
  images: ImageSource;
  /** For the attempt of a token. */
  secrets(token: string): SecretSource;
  files(token: string): FileSource;
  identity: Identity;
};

export type Work = {
  context: StepContext;
  erasures: DiskErasure[];
  redactor: Redactor;
  doing: Doing;
};

export function createWork(assign: Assign, signal: AbortSignal, outbox: Outbox, sources: Sources): Work {
  const { token } = assign;
  const erasures: DiskErasure[] = [];
  const redactor = new Redactor();
  const doing = new Doing();
  const log = (line: string) => outbox.log(token, redactor.text(line));
  const run = createRunner(log, {
    write(text) {
      const clean = redactor.text(text);
      doing.said(clean);
      return outbox.output(token, clean);
    },
    clean: (line) => redactor.text(line),
    get overlap() {
      return redactor.overlap;
    },
  });
  const secrets = rememberedSecrets(sources.secrets(token), redactor);
  const inputs = assign.inputs ?? create(StepInputsSchema);
  const report = emptyReport();
  const context: StepContext = {
    run: (argv, options) => doing.during(argv, () => run(argv, { signal, ...options })),
    log,
    progress(change) {
      Object.assign(report, change);
      report.activity = redactor.text(report.activity);
      doing.activity = report.activity;
      outbox.progress(token, report);
    },
    erased: (erasure) => erasures.push(erasure),
    signal,
    step: assign.step,
    attempt: assign.attempt,
    images: sources.images,
    secrets,
    identity: sources.identity,
    files: sources.files(token),
    check: assign.check,
    inputs,
    values: assign.values ?? {},
    secretValues: () => namedSecrets(inputs.secrets, secrets, signal),
  };
  return { context, erasures, redactor, doing };
}

function rememberedSecrets(source: SecretSource, redactor: Redactor): SecretSource {
  return async (name, signal) => {
    const content = await source(name, signal);
    redactor.add(name, content);
    return content;
  };
}

/** `names`: of secrets, by the names under which the step sees them. */
async function namedSecrets(
  names: Record<string, string>,
  secrets: SecretSource,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const [seen, name] of Object.entries(names)) {
    values[seen] = Buffer.from(await secrets(name, signal)).toString();
  }
  return values;
}

function emptyReport(): StepReport {
  return {
    currentBytes: 0n,
    totalBytes: 0n,
    movedBytes: 0n,
    skippedBytes: 0n,
    writtenBytes: 0n,
    verifiedBytes: 0n,
    activity: "",
    currentItems: 0,
    totalItems: 0,
    changedItems: 0,
    failedItems: 0,
  };
}
