// Why a state directory or a backup cannot be used, and the exit code of each reason.

const problems = {
  inUse: { exitCode: 10, meaning: "the state directory is in use by another daemon" },
  newer: { exitCode: 11, meaning: "the state, or the backup, was written by a newer muster" },
  damaged: { exitCode: 12, meaning: "the state is damaged, or a part of it is missing" },
  forbidden: { exitCode: 13, meaning: "the state directory may not be read and written by this user" },
  readOnly: { exitCode: 14, meaning: "the state directory is on a read-only file system" },
  notADirectory: { exitCode: 15, meaning: "the state directory is no directory" },
  unwritable: { exitCode: 16, meaning: "the state can no longer be written, as when the disk is full" },
  badBackup: { exitCode: 17, meaning: "the file is no backup, or is damaged or cut off" },
  notEmpty: { exitCode: 18, meaning: "a backup is not restored over what is there without --force" },
} as const;

type Problem = keyof typeof problems;

/** The message says what is wrong, why, and what to do. */
export class StoreError extends Error {
  override name = "StoreError";
  readonly problem: Problem;

  constructor(problem: Problem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
  }
}

export const restoreRemedy = "restore the last backup with `muster restore FILE --force`";

export function damaged(what: string, cause?: unknown): StoreError {
  return new StoreError("damaged", `${what}: ${restoreRemedy}`, { cause });
}

/** The code of the problem with the state at the root of an error; undefined if it has another root. */
export function stateExitCode(error: unknown): number | undefined {
  if (error instanceof StoreError) return problems[error.problem].exitCode;
  return error instanceof Error ? stateExitCode(error.cause) : undefined;
}

/** For --help. */
export function exitCodeHelp(wanted: readonly Problem[]): string {
  return wanted.map((problem) => `  ${problems[problem].exitCode}  ${problems[problem].meaning}`).join("\n");
}

/** What LevelDB and the file system say, in our words; `otherwise` is what it means if it says nothing we know. */
export function asStoreError(
  subject: string,
  error: unknown,
  otherwise: "damaged" | "unwritable" = "damaged",
): Error {
  if (error instanceof StoreError) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof Error && "code" in cause ? cause.code : "";
  const options = { cause };
  // Neither of them said it: a mistake of ours.
  if (!code && error instanceof Error) return error;
  if (code === "LEVEL_LOCKED") {
    const message = `${subject} is in use by another muster daemon: stop it, or use another --state-dir`;
    return new StoreError("inUse", message, options);
  }
  if (code === "EROFS" || /Read-only file system/.test(why)) {
    const message = `${subject} is on a read-only file system (${why}): mount it for writing, or use another --state-dir`;
    return new StoreError("readOnly", message, options);
  }
  if (code === "EACCES" || code === "EPERM" || /Permission denied|Operation not permitted/.test(why)) {
    const message = `${subject} may not be read and written by this user (${why}): run muster as its owner, or use another --state-dir`;
    return new StoreError("forbidden", message, options);
  }
  if (code === "ENOTDIR" || code === "EEXIST" || /Not a directory/.test(why)) {
    const message = `${subject} is no directory (${why}): move away what is there, or use another --state-dir`;
    return new StoreError("notADirectory", message, options);
  }
  if (code === "EMFILE" || code === "ENFILE" || /Too many open files/.test(why)) {
    const message = `${subject} cannot be opened (${why}): raise the limit of open files, and start again`;
    return new Error(message, options);
  }
  const full = code === "ENOSPC" || code === "EDQUOT" || /No space left|quota exceeded/.test(why);
  if (full || otherwise === "unwritable") {
    const message = `${subject} cannot be written (${why}): make room on its disk or repair it, and start again`;
    return new StoreError("unwritable", message, options);
  }
  return damaged(`${subject} is damaged or incomplete (${why})`, cause);
}
