// How a source of an image fails, told apart by what helps against it.

/**
 * away: it cannot be reached, or broke off; it may come back.
 * denied: the ticket is not taken (any more); the daemon gives another.
 * missing: it has not got the chunk, or answers in a way that nobody understands.
 * wrong: it gave something other than what was asked for.
 * interrupted: it is not to blame; another request on the same connection was.
 */
export type FaultKind = "away" | "denied" | "missing" | "wrong" | "interrupted";

/** As it crosses from a lane's thread. */
export type Fault = {
  kind: FaultKind;
  message: string;
  /** Index of the chunk that it is about. */
  chunk?: number | undefined;
  /** wrong: hexadecimal sha256 of what came. */
  found?: string | undefined;
};

export class SourceFault extends Error {
  override name = "SourceFault";
  readonly kind: FaultKind;
  readonly chunk: number | undefined;
  readonly found: string | undefined;

  constructor({ kind, message, chunk, found }: Fault) {
    super(message);
    this.kind = kind;
    this.chunk = chunk;
    this.found = found;
  }

  get fault(): Fault {
    return { kind: this.kind, message: this.message, chunk: this.chunk, found: this.found };
  }
}

/** The code of an error of the system, such as ENOSPC. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
