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

/** Chunk messages carry up to 1 MiB of content; the rest is room for logs and inventories. */
export const messageLimits = {
  "grpc.max_receive_message_length": 8 << 20,
  "grpc.max_send_message_length": 8 << 20,
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

/** All methods of a service, keyed by the name of the handler (`listNodes`). */
export function serviceDefinition(service: DescService): Record<string, MethodDefinition<Message, Message>> {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(method)]));
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
