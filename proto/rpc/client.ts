// Calls protobuf-es services with grpc-js: promises, async iterables, deadlines, cancellation, rich errors.
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
import {
  type ChannelCredentials,
  type ChannelOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  type CallOptions as GrpcCallOptions,
  Client as GrpcClient,
  Metadata,
} from "@grpc/grpc-js";
import { RpcError } from "./status.ts";
import { daemonTlsName, messageLimits, methodDefinition } from "./wire.ts";

export type CallOptions = {
  signal?: AbortSignal;
  /** For unary calls; 10 s if absent. */
  timeoutMs?: number;
};

type Caller<M> =
  M extends DescMethodUnary<infer I extends DescMessage, infer O extends DescMessage>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : M extends DescMethodServerStreaming<infer I extends DescMessage, infer O extends DescMessage>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : M extends DescMethodBiDiStreaming<infer I extends DescMessage, infer O extends DescMessage>
        ? (
            requests: AsyncIterable<MessageInitShape<I>>,
            options?: CallOptions,
          ) => AsyncIterable<MessageShape<O>>
        : never;

export type ServiceClient<S extends DescService> = { [K in keyof S["method"]]: Caller<S["method"][K]> };

const unaryTimeoutMs = 10_000;

/** A connection to one address, from which the clients of its services are made. */
export class Connection implements Disposable {
  readonly #grpc: GrpcClient;

  /** `address`: host:port or unix:/path. */
  constructor(address: string, credentials: ChannelCredentials, options: ChannelOptions = {}) {
    this.#grpc = new GrpcClient(address, credentials, {
      ...messageLimits,
      "grpc.ssl_target_name_override": daemonTlsName,
      ...options,
    });
  }

  client<S extends DescService>(service: S): ServiceClient<S> {
    const calls: Record<string, unknown> = {};
    for (const method of service.methods) {
      const definition = methodDefinition(method);
      switch (method.methodKind) {
        case "unary":
          calls[method.localName] = (request: Message, options?: CallOptions) =>
            unary(this.#grpc, definition, request, options);
          break;
        case "server_streaming":
          calls[method.localName] = (request: Message, options?: CallOptions) =>
            read(
              this.#grpc.makeServerStreamRequest(
                definition.path,
                definition.requestSerialize,
                definition.responseDeserialize,
                request,
              ),
              options?.signal,
            );
          break;
        case "bidi_streaming":
          calls[method.localName] = (requests: AsyncIterable<Message>, options?: CallOptions) => {
            const call = this.#grpc.makeBidiStreamRequest(
              definition.path,
              definition.requestSerialize,
              definition.responseDeserialize,
            );
            void writeAll(call, requests);
            return read(call, options?.signal);
          };
          break;
        default:
          throw new Error(`${service.typeName}/${method.name}: ${method.methodKind} is not supported`);
      }
    }
    return calls as ServiceClient<S>;
  }

  [Symbol.dispose](): void {
    this.#grpc.close();
  }
}

type Definition = ReturnType<typeof methodDefinition>;

function unary(
  grpc: GrpcClient,
  definition: Definition,
  request: Message,
  options: CallOptions = {},
): Promise<Message> {
  return new Promise((resolve, reject) => {
    const grpcOptions: GrpcCallOptions = { deadline: Date.now() + (options.timeoutMs ?? unaryTimeoutMs) };
    const call = grpc.makeUnaryRequest(
      definition.path,
      definition.requestSerialize,
      definition.responseDeserialize,
      request,
      new Metadata(),
      grpcOptions,
      (error, response) => {
        options.signal?.removeEventListener("abort", cancel);
        if (error) reject(RpcError.from(error));
        else if (response) resolve(response);
      },
    );
    const cancel = () => call.cancel();
    options.signal?.addEventListener("abort", cancel);
    if (options.signal?.aborted) cancel();
  });
}

/** The responses; leaving the loop cancels the call. */
async function* read(
  call: ClientReadableStream<Message> | ClientDuplexStream<Message, Message>,
  signal?: AbortSignal,
): AsyncGenerator<Message> {
  const cancel = () => call.cancel();
  signal?.addEventListener("abort", cancel);
  if (signal?.aborted) cancel();
  try {
    for await (const message of call as AsyncIterable<Message>) yield message;
  } catch (error) {
    throw RpcError.from(error);
  } finally {
    signal?.removeEventListener("abort", cancel);
    // A cancelled stream reports CANCELLED once more; nobody listens any longer.
    call.on("error", () => {});
    call.cancel();
  }
}

/** Ends the request side when the iterable ends; when it throws, the call is cancelled. */
async function writeAll(call: ClientDuplexStream<Message, Message>, requests: AsyncIterable<Message>) {
  let open = true;
  call.on("close", () => {
    open = false;
  });
  call.on("error", () => {
    open = false;
  });
  try {
    for await (const request of requests) {
      if (!open) return;
      if (!call.write(request)) {
        await new Promise<void>((resolve) => {
          const goOn = () => {
            call.off("drain", goOn);
            call.off("close", goOn);
            resolve();
          };
          call.on("drain", goOn);
          call.on("close", goOn);
        });
      }
    }
    call.end();
  } catch {
    call.cancel();
  }
}
