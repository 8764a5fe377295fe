// The one error that crosses a process: a gRPC code, a message for people and google.rpc details. Everything
// that is thrown inside a handler becomes one, and everything a client catches is one.
import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  StatusSchema,
} from "../gen/google/rpc/status_pb.ts";

const detailsKey = "grpc-status-details-bin";
const domain = "muster";

export const codes = status;

export type FieldViolation = { field: string; description: string };
export type Violation = { type: string; subject: string; description: string };

export type RpcErrorOptions = {
  /** UPPER_SNAKE_CASE, stable: programs may switch on it. */
  reason?: string;
  metadata?: Record<string, string>;
  /** One per bad field of the request. */
  fields?: FieldViolation[];
  /** One per thing that is not as the call needs it. */
  violations?: Violation[];
  cause?: unknown;
};

/** A failed call, on either side. `message` names the thing, the cause and the remedy. */
export class RpcError extends Error {
  override name = "RpcError";
  readonly code: status;
  readonly reason: string;
  readonly metadata: Record<string, string>;
  readonly fields: FieldViolation[];
  readonly violations: Violation[];

  constructor(code: status, message: string, options: RpcErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.reason = options.reason ?? "";
    this.metadata = options.metadata ?? {};
    this.fields = options.fields ?? [];
    this.violations = options.violations ?? [];
  }

  /** Any caught value as an RpcError; one that is not an error of a call is INTERNAL. */
  static from(error: unknown): RpcError {
    if (error instanceof RpcError) return error;
    if (isServiceError(error)) return fromServiceError(error);
    const message = error instanceof Error ? error.message : String(error);
    return new RpcError(status.INTERNAL, message, { cause: error });
  }
}

/** What grpc-js sends: code, details and the encoded google.rpc.Status in the trailers. */
export function toServiceError(error: unknown): Pick<ServiceError, "code" | "details" | "metadata"> {
  const rpc = RpcError.from(error);
  const message = fitting(rpc.message, limits.message);
  const details = [];
  if (rpc.reason) {
    const entries = Object.entries(rpc.metadata).map(([key, value]) => [key, clip(value)]);
    const metadata = Object.fromEntries(entries);
    details.push(pack(ErrorInfoSchema, { reason: rpc.reason, domain, metadata }));
  }
  if (rpc.fields.length) {
    const fieldViolations = asManyAsFit(rpc.fields, (description) => ({ field: "", description }));
    details.push(pack(BadRequestSchema, { fieldViolations }));
  }
  if (rpc.violations.length) {
    const violations = asManyAsFit(rpc.violations, (description) => ({ type: "", subject: "", description }));
    details.push(pack(PreconditionFailureSchema, { violations }));
  }
  const metadata = new Metadata();
  if (details.length) {
    const wire = create(StatusSchema, { code: rpc.code, message: clip(message), details });
    metadata.set(detailsKey, Buffer.from(toBinary(StatusSchema, wire)));
  }
  return { code: rpc.code, details: message, metadata };
}

/** Trailers are HTTP headers, and gRPC's clients take 8 KiB of them: more than that would not arrive at all. */
const limits = { message: 2500, value: 300, violations: 3000 };

/** Cut where its percent-encoded form, which is what is sent, would be too long. */
function fitting(text: string, bytes: number): string {
  let kept = text.slice(0, bytes).toWellFormed();
  while (encodeURI(kept).length > bytes) kept = kept.slice(0, Math.floor(kept.length * 0.9)).toWellFormed();
  return kept.length < text.length ? `${kept} ...` : text.toWellFormed();
}

function clip(text: string): string {
  return fitting(text, limits.value);
}

/** The first ones, and how many more there are. */
function asManyAsFit<T extends Record<string, string>>(items: readonly T[], rest: (text: string) => T): T[] {
  const kept: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const clipped = Object.fromEntries(Object.entries(item).map(([key, value]) => [key, clip(value)])) as T;
    bytes += Buffer.byteLength(Object.values(clipped).join("")) + 10;
    if (bytes > limits.violations) return [...kept, rest(`and ${items.length - kept.length} more`)];
    kept.push(clipped);
  }
  return kept;
}

function pack<T extends Message>(schema: GenMessage<T>, init: Parameters<typeof create<GenMessage<T>>>[1]) {
  return anyPack(schema, create(schema, init));
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}

function fromServiceError(error: ServiceError): RpcError {
  const options: RpcErrorOptions = { cause: error };
  const encoded = error.metadata?.get(detailsKey)[0];
  if (Buffer.isBuffer(encoded)) {
    for (const detail of fromBinary(StatusSchema, encoded).details) {
      const info = anyUnpack(detail, ErrorInfoSchema);
      const bad = anyUnpack(detail, BadRequestSchema);
      const precondition = anyUnpack(detail, PreconditionFailureSchema);
      if (info) Object.assign(options, { reason: info.reason, metadata: info.metadata });
      if (bad) options.fields = bad.fieldViolations;
      if (precondition) options.violations = precondition.violations;
    }
  }
  return new RpcError(error.code, error.details, options);
}
