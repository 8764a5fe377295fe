// What the store of files says, as answers of the API.
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { FileError, type FileFault, GapError } from "../drivers/file-error.ts";

const answers: Record<FileFault, { code: number; reason: string }> = {
  DISK_FULL: { code: codes.RESOURCE_EXHAUSTED, reason: "DISK_FULL" },
  TOO_LARGE: { code: codes.RESOURCE_EXHAUSTED, reason: "TOO_LARGE" },
  DIGEST_MISMATCH: { code: codes.INVALID_ARGUMENT, reason: "DIGEST_MISMATCH" },
  INVALID_TREE: { code: codes.INVALID_ARGUMENT, reason: "INVALID_TREE" },
  FILES_MISSING: { code: codes.FAILED_PRECONDITION, reason: "FILES_MISSING" },
  NOT_FOUND: { code: codes.NOT_FOUND, reason: "NOT_FOUND" },
  TREE_DAMAGED: { code: codes.DATA_LOSS, reason: "TREE_DAMAGED" },
};

/** Rejects as the API does. A gap says in its metadata from where to go on. */
export async function answering<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw refusal(error);
  }
}

export async function* answeringAll<T>(work: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* work;
  } catch (error) {
    throw refusal(error);
  }
}

function refusal(error: unknown): unknown {
  if (error instanceof GapError) {
    const metadata = { size: `${error.size}` };
    return new RpcError(codes.OUT_OF_RANGE, error.message, { reason: "GAP", metadata, cause: error });
  }
  if (!(error instanceof FileError)) return error;
  const { code, reason } = answers[error.reason];
  return new RpcError(code, error.message, { reason, cause: error });
}
