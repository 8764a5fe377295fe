// FetchChunks over bare HTTP/2, by a receiver that reads only when it is told to: grpc-js's own client takes
// everything in at once until it is first asked for a message.
import { connect } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  FetchChunksRequestSchema,
  type FetchChunksResponse,
  FetchChunksResponseSchema,
} from "../../../proto/gen/muster/v1/delivery_pb.ts";

export type RawCall = Disposable & {
  /** Reads to the end. `status`: the code of gRPC. */
  readAll(): Promise<{ messages: FetchChunksResponse[]; status: number }>;
};

const prefixBytes = 5;

export function rawCall(address: string, ticket: string, digest: string, indexes: number[]): RawCall {
  const session = connect(`http://${address}`, { settings: { initialWindowSize: 1 << 20 } });
  const stream = session.request({
    ":method": "POST",
    ":path": "/muster.v1.DeliveryService/FetchChunks",
    "content-type": "application/grpc",
    te: "trailers",
    "muster-ticket": ticket,
  });
  const request = toBinary(FetchChunksRequestSchema, create(FetchChunksRequestSchema, { digest, indexes }));
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(request.length, 1);
  stream.end(Buffer.concat([prefix, request]));
  const status = new Promise<number>((resolve) => {
    stream.on("trailers", (trailers) => resolve(Number(trailers["grpc-status"])));
  });
  session.on("error", () => {});
  stream.on("error", () => {});
  return {
    readAll: async () => {
      const bytes = Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>));
      return { messages: [...messagesIn(bytes)], status: await status };
    },
    [Symbol.dispose]: () => session.destroy(),
  };
}

function* messagesIn(bytes: Buffer): Generator<FetchChunksResponse> {
  for (let at = 0; at < bytes.length; ) {
    const end = at + prefixBytes + bytes.readUInt32BE(at + 1);
    yield fromBinary(FetchChunksResponseSchema, bytes.subarray(at + prefixBytes, end));
    at = end;
  }
}
