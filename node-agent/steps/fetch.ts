// Brings a file of the node to the daemon. Nothing changes on the node; what can change is what the daemon has of it.
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { JsonObject } from "@bufbuild/protobuf";
import { factLimitBytes, fetchLimitBytes } from "../../proto/files/limits.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import type { Step, StepContext } from "../step.ts";

export const fetch: Step<"fetch"> = async (action, context) => {
  const { path } = action;
  const limit = fetchLimitBytes(action.limit);
  const file = await opened(path);
  if (!file) {
    // In a check, the task that makes it has not made it.
    if (context.check) return { result: `${path}: is not there yet`, outcome: TaskOutcome.OK };
    throw new Error(`there is no file ${path} on the node; require the task that makes it`);
  }
  try {
    const { size } = await file.stat();
    if (size > limit) throw tooLarge(path, size, limit, "raise `limit`");
    const facts: JsonObject = { path };
    if (action.asFact) facts.content = await textOf(path, file, size);
    if (context.check) return { result: `${path}: would be fetched`, outcome: TaskOutcome.OK, facts };
    context.progress({ activity: `sending ${path}`, totalBytes: BigInt(size) });
    const sent = await context.files.put(bounded(path, file, limit, context.progress), context.signal);
    Object.assign(facts, { size_bytes: sent.size, digest: sent.digest });
    const outcome = sent.digest === lastDigest(context) ? TaskOutcome.OK : TaskOutcome.CHANGED;
    return { result: `${path}: ${formatBytes(sent.size)} fetched`, outcome, facts };
  } finally {
    await file.close();
  }
};

/** Of what this task has fetched before. */
function lastDigest({ step, values }: StepContext): unknown {
  const task = step.slice(step.lastIndexOf("/") + 1);
  return ["tasks", task, "facts", "digest"].reduce<unknown>(
    (value, name) => (typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined),
    values,
  );
}

/** Undefined if there is nothing. */
async function opened(path: string): Promise<FileHandle | undefined> {
  // A pipe that nobody writes to would be waited for.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      return undefined;
    },
  );
  if (!file) return undefined;
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new Error(`${path} is no file; fetch a file, such as an archive that a task before has made`);
}

async function textOf(path: string, file: FileHandle, size: number): Promise<string> {
  if (size > factLimitBytes) throw tooLarge(path, size, factLimitBytes, "fetch it without `as_fact`");
  const { buffer, bytesRead } = await file.read(Buffer.alloc(factLimitBytes), 0, factLimitBytes, 0);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, bytesRead));
  } catch {
    throw new Error(`${path} is no text in UTF-8, and cannot be a fact; fetch it without \`as_fact\``);
  }
}

/** A file that grows while it is read is still bounded. */
async function* bounded(
  path: string,
  file: FileHandle,
  limit: number,
  progress: (report: { currentBytes: bigint }) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const piece of file.createReadStream({ start: 0, autoClose: false }) as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > limit) throw tooLarge(path, bytes, limit, "it grows while it is read: fetch a copy");
    yield piece;
    progress({ currentBytes: BigInt(bytes) });
  }
}

function tooLarge(path: string, size: number, limit: number, remedy: string): Error {
  return new Error(
    `${path} has ${formatBytes(size)}, and at most ${formatBytes(limit)} are taken; ${remedy}`,
  );
}
