// What a step runs with in a test: real programs, and files and secrets that are in memory.
import { createHash } from "node:crypto";
import { create, type JsonObject } from "@bufbuild/protobuf";
import { TreeSchema } from "../proto/gen/muster/v1/files_pb.ts";
import { type StepInputs, StepInputsSchema } from "../proto/gen/muster/v1/step_pb.ts";
import { noFiles } from "./no-files.ts";
import { createRunner } from "./runner.ts";
import type { StepContext, StepReport } from "./step.ts";

type Given = {
  check?: boolean;
  values?: JsonObject;
  secrets?: Record<string, string>;
  /** Files beside the manifest by source; one with an object is a directory. */
  sources?: Record<string, string | Record<string, string>>;
  signal?: AbortSignal;
};

export type TestContext = StepContext & {
  lines: string[];
  /** Of every progress that was told. */
  reports: Partial<StepReport>[];
};

export function testContext(given: Given = {}): TestContext {
  const lines: string[] = [];
  const reports: Partial<StepReport>[] = [];
  const { signal = new AbortController().signal, secrets = {} } = given;
  const log = (line: string) => {
    lines.push(line);
  };
  const run = createRunner(log);
  return {
    lines,
    reports,
    run: (argv, options) => run(argv, { signal, ...options }),
    log,
    progress: (report) => reports.push(report),
    erased: () => {},
    signal,
    step: "demo-1/n1/task",
    attempt: 1,
    images: { locate: () => Promise.reject(new Error("no images here")), report: async () => {} },
    secrets: async (name) => Buffer.from(secrets[name] ?? ""),
    identity: { node: "n1", joinBundle: "{}", imageKey: "", privateKey: "", certificate: "" },
    check: given.check ?? false,
    values: given.values ?? {},
    secretValues: async () => secrets,
    ...filesOf(given.sources ?? {}),
  };
}

function filesOf(sources: NonNullable<Given["sources"]>): {
  inputs: StepInputs;
  files: StepContext["files"];
} {
  const contents = new Map<string, string>();
  const trees = new Map<string, Record<string, string>>();
  const digests: Record<string, string> = {};
  for (const [source, content] of Object.entries(sources)) {
    const digest = digestOf(source);
    digests[source] = digest;
    trees.set(digest, typeof content === "string" ? { [source.split("/").at(-1) ?? ""]: content } : content);
  }
  return {
    inputs: create(StepInputsSchema, { sources: digests }),
    files: {
      ...noFiles,
      async tree(digest) {
        const entries = Object.entries(trees.get(digest) ?? {}).map(([path, content]) => {
          contents.set(digestOf(content), content);
          const value = { digest: digestOf(content), sizeBytes: BigInt(content.length) };
          return { path, mode: 0o644, kind: { case: "file" as const, value } };
        });
        return create(TreeSchema, { entries });
      },
      async *read(_tree, digest) {
        yield Buffer.from(contents.get(digest) ?? "");
      },
    },
  };
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
