// What a verb ends with: exit codes, and every error as lines for people, never a stack.
import { FilterError } from "../proto/filter/filter-error.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { clean } from "./format.ts";

export const exitCode = { ok: 0, failed: 1, refused: 2, unreachable: 3, interrupted: 130 } as const;

/** The operator's input cannot be used; says why and what would do. */
export class RefusedError extends Error {
  override name = "RefusedError";
}

/** Nobody answers at the daemon's socket. */
export class UnreachableError extends Error {
  override name = "UnreachableError";

  constructor(socket: string, cause: unknown) {
    super(`daemon not reachable at ${socket} (${why(cause)}); ${remedy(cause)}`, { cause });
  }
}

const refusals: number[] = [
  codes.INVALID_ARGUMENT,
  codes.NOT_FOUND,
  codes.ALREADY_EXISTS,
  codes.FAILED_PRECONDITION,
  codes.ABORTED,
  codes.OUT_OF_RANGE,
  codes.PERMISSION_DENIED,
  codes.UNAUTHENTICATED,
];

export function exitCodeOf(error: unknown): number {
  if (error instanceof UnreachableError) return exitCode.unreachable;
  if (error instanceof RefusedError || error instanceof FilterError) return exitCode.refused;
  if (!(error instanceof RpcError)) return exitCode.failed;
  if (error.code === codes.UNAVAILABLE) return exitCode.unreachable;
  return refusals.includes(error.code) ? exitCode.refused : exitCode.failed;
}

/** The message, then a line for each bad field, then a block for each thing that is not as needed. */
export function errorLines(error: unknown): string[] {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof RpcError)) return message.split("\n").map((line) => `muster: ${clean(line)}`);
  // A request that breaks a rule says so in its message already.
  const faults = error.fields
    .filter(({ description }) => !message.includes(description))
    .map(({ field, description }) => `  ${joined(field, description)}`);
  return [`muster: ${clean(message) || codeName(error.code)}`, ...faults, ...violationLines(error)];
}

/** One line per fault, exactly FILE:LINE:COL: message, as editors and CI systems read them. */
export function faultLines(error: RpcError): string[] {
  return error.fields.map(({ field, description }) => joined(field, description));
}

/** Violations of one subject stand together: its name, if it is one thing, then what is wrong, with the candidates. */
function violationLines(error: RpcError): string[] {
  const lines: string[] = [];
  let subject = "";
  for (const violation of error.violations) {
    if (violation.subject !== subject) lines.push(`  ${clean(violation.subject)}`);
    subject = violation.subject;
    const depth = subject ? "    " : "  ";
    for (const line of violation.description.split("\n")) lines.push(`${depth}${clean(line)}`);
  }
  return lines;
}

function joined(field: string, description: string): string {
  const place = clean(field).replace(/[:\s]+$/, "");
  return place ? `${place}: ${clean(description)}` : clean(description);
}

function codeName(code: number): string {
  return Object.entries(codes).find(([, value]) => value === code)?.[0] ?? `code ${code}`;
}

function errno(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : "";
}

function why(cause: unknown): string {
  switch (errno(cause)) {
    case "ENOENT":
      return "no such socket";
    case "ECONNREFUSED":
      return "nobody listens on it";
    case "EACCES":
      return "permission denied";
    default:
      return cause instanceof Error ? cause.message : String(cause);
  }
}

function remedy(cause: unknown): string {
  return errno(cause) === "EACCES"
    ? "run muster as the user who started the daemon"
    : "start it with `muster daemon`, or name its state directory with --state-dir";
}
