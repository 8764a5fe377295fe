// Serves protobuf-es services with grpc-js: typed async handlers, cancellation, back-pressure, rich errors.
import type { EventEmitter } from "node:events";
import type {
  DescMessage,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  Message,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type {
  Server,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from "@grpc/grpc-js";
import { codes, RpcError, toServiceError } from "./status.ts";
import { serviceDefinition, Undecodable } from "./wire.ts";

export type CallContext = {
  /** Aborted when the client has gone or cancelled. */
  signal: AbortSignal;
  /** host:port of the client, or the unix socket. */
  peer: string;
  /** The client certificate's subject common name; empty without one. */
  commonName: string;
  /** DER of the client certificate; empty without one. */
  certificate: Uint8Array;
};

type Handler<M> =
  M extends DescMethodUnary<infer I extends DescMessage, infer O extends DescMessage>
    ? (request: MessageShape<I>, context: CallContext) => Promise<MessageInitShape<O>>
    : M extends DescMethodServerStreaming<infer I extends DescMessage, infer O extends DescMessage>
      ? (request: MessageShape<I>, context: CallContext) => AsyncIterable<MessageInitShape<O>>
      : M extends DescMethodBiDiStreaming<infer I extends DescMessage, infer O extends DescMessage>
        ? (
            requests: AsyncIterable<MessageShape<I>>,
            context: CallContext,
          ) => AsyncIterable<MessageInitShape<O>>
        : never;

export type Handlers<S extends DescService> = { [K in keyof S["method"]]: Handler<S["method"][K]> };

/** Runs before every handler with the decoded request; throws an RpcError to refuse it. */
export type Interceptor = (request: Message, schema: DescMessage, context: CallContext) => void;

type AnyUnary = (request: Message, context: CallContext) => Promise<Message>;
type AnyServerStream = (request: Message, context: CallContext) => AsyncIterable<Message>;
type AnyBidi = (requests: AsyncIterable<Message>, context: CallContext) => AsyncIterable<Message>;

/** Registers a service. Handlers return plain init objects; what they throw becomes the call's status. */
export function serve<S extends DescService>(
  server: Server,
  service: S,
  handlers: Handlers<S>,
  options: { check?: Interceptor; onError?: (method: string, error: RpcError) => void } = {},
): void {
  const implementations: Record<string, (...args: never[]) => void> = {};
  for (const method of service.methods) {
    // The mapped type above proves each handler's shape to callers; here it is only dispatched by kind.
    const handler: unknown = (handlers as Record<string, unknown>)[method.localName];
    const fail = (error: unknown) => {
      const rpc = RpcError.from(error);
      options.onError?.(`${service.typeName}/${method.name}`, rpc);
      return toServiceError(rpc);
    };
    const check = (request: Message | Undecodable, context: CallContext): Message => {
      const decoded = decodedOf(request, method.input);
      options.check?.(decoded, method.input, context);
      return decoded;
    };
    switch (method.methodKind) {
      case "unary":
        implementations[method.localName] = unary(handler as AnyUnary, check, fail);
        break;
      case "server_streaming":
        implementations[method.localName] = serverStream(handler as AnyServerStream, check, fail);
        break;
      case "bidi_streaming":
        implementations[method.localName] = bidi(
          handler as AnyBidi,
          (request) => decodedOf(request, method.input),
          fail,
        );
        break;
      default:
        throw new Error(`${service.typeName}/${method.name}: ${method.methodKind} is not supported`);
    }
  }
  server.addService(serviceDefinition(service), implementations as never);
}

/** Throws a refusal for bytes that are no request. */
function decodedOf(request: Message | Undecodable, { typeName }: DescMessage): Message {
  if (!(request instanceof Undecodable)) return request;
  throw new RpcError(codes.INVALID_ARGUMENT, `this is no ${typeName}: ${request.reason}`, {
    reason: "UNDECODABLE",
  });
}

type Check = (request: Message | Undecodable, context: CallContext) => Message;
type Fail = (error: unknown) => ReturnType<typeof toServiceError>;

function unary(handler: AnyUnary, check: Check, fail: Fail) {
  return (call: ServerUnaryCall<Message | Undecodable, Message>, callback: sendUnaryData<Message>) => {
    const run = async () => {
      const context = callContext(call);
      return handler(check(call.request, context), context);
    };
    run().then(
      (response) => callback(null, response),
      (error) => callback(fail(error)),
    );
  };
}

function serverStream(handler: AnyServerStream, check: Check, fail: Fail) {
  return (call: ServerWritableStream<Message | Undecodable, Message>) => {
    const context = callContext(call);
    const run = async () => {
      const request = check(call.request, context);
      await writeAll(call, handler(request, context), context.signal);
    };
    finish(call, run(), fail);
  };
}

function bidi(handler: AnyBidi, decoded: (request: Message | Undecodable) => Message, fail: Fail) {
  return (call: ServerDuplexStream<Message | Undecodable, Message>) => {
    const context = callContext(call);
    // destroyOnReturn: the default iterator destroys the call when the client half-closes, and the status
    // would never be sent.
    const received = call.iterator({ destroyOnReturn: false }) as AsyncIterable<Message | Undecodable>;
    let refusal: unknown;
    const requests = async function* () {
      for await (const request of received) {
        try {
          yield decoded(request);
        } catch (error) {
          refusal = error;
          throw error;
        }
      }
    };
    const run = async () => {
      await writeAll(call, handler(requests(), context), context.signal);
      // A handler that ends because its requests did has not said why.
      if (refusal) throw refusal;
    };
    finish(call, run(), fail);
  };
}

type Sink = { end(): void; emit(event: "error", error: unknown): boolean; cancelled: boolean };

function finish(call: Sink, run: Promise<void>, fail: Fail): void {
  run.then(
    () => call.end(),
    (error) => {
      if (!call.cancelled) call.emit("error", fail(error));
    },
  );
}

/** Writes with back-pressure: one message waits for the transport before the next is asked for. */
async function writeAll(
  call:
    | ServerWritableStream<Message | Undecodable, Message>
    | ServerDuplexStream<Message | Undecodable, Message>,
  messages: AsyncIterable<Message>,
  signal: AbortSignal,
): Promise<void> {
  for await (const message of messages) {
    if (signal.aborted) return;
    if (!call.write(message)) await drained(call, signal);
  }
}

function drained(
  call: { once(event: "drain", listener: () => void): unknown; off(event: "drain", l: () => void): unknown },
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      call.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    call.once("drain", done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

function callContext(
  call:
    | ServerUnaryCall<Message | Undecodable, Message>
    | ServerWritableStream<Message | Undecodable, Message>
    | ServerDuplexStream<Message | Undecodable, Message>,
): CallContext {
  const controller = new AbortController();
  const emitter: EventEmitter = call;
  emitter.on("cancelled", () => controller.abort());
  emitter.on("close", () => controller.abort());
  const certificate = call.getAuthContext().sslPeerCertificate;
  const commonName = certificate?.subject?.CN;
  return {
    signal: controller.signal,
    peer: call.getPeer(),
    commonName: typeof commonName === "string" ? commonName : "",
    certificate: certificate?.raw ?? new Uint8Array(),
  };
}
