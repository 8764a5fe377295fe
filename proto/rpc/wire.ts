// protobuf-es methods as grpc-js method definitions: paths, and (de)serialisers. Used by server and client.
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { MethodDefinition } from "@grpc/grpc-js";

/** Requests carry up to 1 MiB of content; the rest is room for logs, inventories and manifests. */
const requestBytes = 8 << 20;
/** The plan of thousands of nodes is one message. */
const answerBytes = 256 << 20;

/** Of clients. */
export const messageLimits = {
  "grpc.max_receive_message_length": answerBytes,
  "grpc.max_send_message_length": requestBytes,
};

export const serverMessageLimits = {
  "grpc.max_receive_message_length": requestBytes,
  "grpc.max_send_message_length": answerBytes,
};

/**
 * The name in the daemon's certificate, whatever address it is reached at: TLS has no names that are IP
 * addresses, and it is the cluster's own CA that makes the certificate trustworthy.
 */
export const daemonTlsName = "muster-daemon";

export function methodDefinition(method: DescMethod): MethodDefinition<Message, Message> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: serializer(method.input),
    requestDeserialize: deserializer(method.input),
    responseSerialize: serializer(method.output),
    responseDeserialize: deserializer(method.output),
  };
}

/** What a server is handed in place of a request whose bytes are no message of its type. */
export class Undecodable {
  readonly reason: string;

  constructor(cause: unknown) {
    this.reason = cause instanceof Error ? cause.message : String(cause);
  }
}

/**
 * All methods of a service, keyed by the name of the handler (`listNodes`). Of a request that cannot be decoded
 * grpc-js would make INTERNAL, as if the server were at fault: it is handed on, for the handler to refuse.
 */
export function serviceDefinition(
  service: DescService,
): Record<string, MethodDefinition<Message | Undecodable, Message>> {
  return Object.fromEntries(
    service.methods.map((method) => {
      const definition = methodDefinition(method);
      const requestDeserialize = (bytes: Buffer) => {
        try {
          return definition.requestDeserialize(bytes);
        } catch (error) {
          return new Undecodable(error);
        }
      };
      // A server never serialises requests; the type has it because clients share it.
      const requestSerialize = definition.requestSerialize as (value: Message | Undecodable) => Buffer;
      return [method.localName, { ...definition, requestSerialize, requestDeserialize }];
    }),
  );
}

// Handlers and callers may pass plain init objects: create() is a no-op on a message.
function serializer(schema: DescMessage) {
  return (value: MessageInitShape<DescMessage>) => {
    const bytes = toBinary(schema, create(schema, value));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function deserializer(schema: DescMessage) {
  return (bytes: Buffer): Message => fromBinary(schema, bytes);
}
