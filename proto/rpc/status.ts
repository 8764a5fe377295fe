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
  const details = [];
  if (rpc.reason) {
    details.push(pack(ErrorInfoSchema, { reason: rpc.reason, domain, metadata: rpc.metadata }));
  }
  if (rpc.fields.length) details.push(pack(BadRequestSchema, { fieldViolations: rpc.fields }));
  if (rpc.violations.length) details.push(pack(PreconditionFailureSchema, { violations: rpc.violations }));
  const metadata = new Metadata();
  if (details.length) {
    const wire = create(StatusSchema, { code: rpc.code, message: rpc.message, details });
    metadata.set(detailsKey, Buffer.from(toBinary(StatusSchema, wire)));
  }
  return { code: rpc.code, details: rpc.message, metadata };
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
