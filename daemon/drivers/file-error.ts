// What the store of files refuses, with the reason that the API gives for it.
export type FileFault =
  | "DISK_FULL"
  | "DIGEST_MISMATCH"
  | "INVALID_TREE"
  | "FILES_MISSING"
  | "NOT_FOUND"
  | "TREE_DAMAGED"
  | "TOO_LARGE";

export class FileError extends Error {
  override name = "FileError";
  readonly reason: FileFault;

  constructor(reason: FileFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** A piece of a file that does not follow what is there. `size`: how much is there. */
export class GapError extends Error {
  override name = "GapError";
  readonly size: number;

  constructor(offset: bigint, size: number) {
    super(`there are ${size} bytes so far, and the piece begins at ${offset}: go on from ${size}`);
    this.size = size;
  }
}
