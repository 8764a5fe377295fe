// DeliveryService.
import { closeSync } from "node:fs";
import type { Http2Server, IncomingHttpHeaders } from "node:http2";
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  DeliveryService,
  type FetchChunksRequest,
  FetchChunksRequestSchema,
  GetManifestRequestSchema,
  GetManifestResponseSchema,
} from "../../proto/gen/muster/v1/delivery_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { methodDefinition } from "../../proto/rpc/wire.ts";
import type { Buffers } from "./buffers.ts";
import { chunkFrame } from "./chunk-frame.ts";
import type { Gate } from "./gate.ts";
import { createGrpcServer, framePrefix, type WireCall } from "./grpc-wire.ts";
import type { Meter } from "./meter.ts";
import { send } from "./send.ts";
import type { ServedChunk, ServedImage, ServedImages } from "./served-images.ts";
import type { Throttle } from "./throttle.ts";

export type Plane = {
  images: ServedImages;
  gate: Gate;
  throttle: Throttle;
  meter: Meter;
  buffers: Buffers;
  stallMs: number;
};

export function createDeliveryGrpcServer(plane: Plane): Http2Server {
  const { getManifest: manifests, fetchChunks: chunks } = DeliveryService.method;
  return createGrpcServer({
    [methodDefinition(manifests).path]: (call) => getManifest(plane, call),
    [methodDefinition(chunks).path]: async (call) => {
      plane.meter.begin();
      try {
        await fetchChunks(plane, call);
      } catch (error) {
        if (error instanceof RpcError && error.reason === "STALLED") plane.meter.stalled();
        throw error;
      } finally {
        plane.meter.end();
      }
    },
  });
}

async function getManifest({ images, gate }: Plane, call: WireCall): Promise<void> {
  const { digest } = decoded(GetManifestRequestSchema, call.request);
  gate(ticketOf(call.headers), digest);
  const manifest = await images.files.signed(digest);
  if (!manifest) throw noImage(digest);
  const answer = toBinary(GetManifestResponseSchema, create(GetManifestResponseSchema, { manifest }));
  call.begin();
  call.stream.write(framePrefix(answer.length));
  call.stream.write(answer);
}

async function fetchChunks(
  plane: Plane,
  { stream, headers, request: bytes, begin }: WireCall,
): Promise<void> {
  const { images, gate, throttle, meter, buffers, stallMs } = plane;
  const request = decoded(FetchChunksRequestSchema, bytes);
  const { node, rack } = gate(ticketOf(headers), request.digest);
  const ended = new AbortController();
  stream.once("close", () => ended.abort());
  const image = await images.find(request.digest);
  if (!image) throw noImage(request.digest);
  const chunks = chunksOf(image, request);
  let remaining = Number(request.remainingBytes) || image.storedBytes;
  begin();
  for (const { index, chunk } of chunks) {
    await throttle.turn({ node, rack, bytes: chunk.storedBytes, remaining }, ended.signal);
    if (stream.destroyed) return;
    await send(stream, buffers, readFrame(plane, image, chunk, index), stallMs);
    meter.sent(chunk.storedBytes);
    remaining = Math.max(0, remaining - chunk.storedBytes);
  }
}

function readFrame(
  { images, buffers }: Plane,
  image: ServedImage,
  chunk: ServedChunk,
  index: number,
): Buffer {
  const file = images.open(image, chunk);
  try {
    return chunkFrame(buffers, index, file);
  } finally {
    closeSync(file.fd);
  }
}

function chunksOf({ digest, chunks }: ServedImage, { indexes }: FetchChunksRequest) {
  return indexes.map((index) => {
    const chunk = chunks[index];
    if (chunk) return { index, chunk };
    const message = `image ${digest} has ${chunks.length} chunks, and none with index ${index}`;
    throw new RpcError(codes.NOT_FOUND, message, { reason: "NOT_FOUND", metadata: { name: `${index}` } });
  });
}

/**
 * The rules of the proto file need no check of their own here: a digest must be one of the ticket's, and the size of
 * a request is limited.
 */
function decoded<S extends DescMessage>(schema: S, bytes: Uint8Array): MessageShape<S> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `this is no ${schema.typeName}: ${why}`;
    throw new RpcError(codes.INVALID_ARGUMENT, message, { reason: "UNDECODABLE", cause });
  }
}

const ticketOf = (headers: IncomingHttpHeaders): string => `${headers["muster-ticket"] ?? ""}`;

function noImage(digest: string): RpcError {
  const message = `there is no image ${digest} in the store: register it again`;
  return new RpcError(codes.NOT_FOUND, message, { reason: "NOT_FOUND", metadata: { name: digest } });
}
