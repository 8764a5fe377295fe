// gRPC on the server's side as far as the data plane needs it, on node:http2: one message in, any number out.
// grpc-js would allocate a buffer for every chunk and copy it there, which costs twice the processor time.
import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { codes, RpcError, toServiceError } from "../../proto/rpc/status.ts";

export type WireCall = {
  stream: ServerHttp2Stream;
  headers: IncomingHttpHeaders;
  /** The bytes of the request's message. */
  request: Uint8Array;
  /** Before the first frame. */
  begin(): void;
};

/** By path, `/SERVICE/METHOD`. What they throw becomes the call's status. */
export type WireMethods = Record<string, (call: WireCall) => Promise<void>>;

/** The longest request names the chunks of a large image. */
const requestBytesMax = 1 << 20;
const prefixBytes = 5;
/** A connection whose other end does not answer for so long is cut. */
const pingMs = 30_000;

/** What stands before a message. */
export function framePrefix(bytes: number): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(bytes, 1);
  return prefix;
}

export function createGrpcServer(methods: WireMethods): Http2Server {
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    serve(methods, stream, headers).catch((error) => endWith(stream, error));
  });
  server.on("session", (session) => {
    session.on("error", () => {});
    let waiting = false;
    const timer = setInterval(() => {
      if (waiting) return session.destroy();
      waiting = true;
      session.ping(() => {
        waiting = false;
      });
    }, pingMs);
    session.on("close", () => clearInterval(timer));
  });
  return server;
}

async function serve(
  methods: WireMethods,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): Promise<void> {
  const path = `${headers[":path"]}`;
  const method = methods[path];
  if (!method) throw new RpcError(codes.UNIMPLEMENTED, `there is no ${path} on this port`);
  const request = await readRequest(stream);
  const begin = () => {
    const own = { ":status": 200, "content-type": "application/grpc+proto" };
    if (!stream.destroyed) stream.respond(own, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  };
  await method({ stream, headers, request, begin });
  stream.end();
}

/** Nothing is sent after what has been written so far but the reason. */
function endWith(stream: ServerHttp2Stream, error: unknown): void {
  if (stream.destroyed) return;
  const { code, details, metadata } = toServiceError(error);
  const status = {
    "grpc-status": `${code}`,
    "grpc-message": encodeURI(details),
    ...metadata.toHttp2Headers(),
  };
  if (stream.headersSent) {
    stream.removeAllListeners("wantTrailers");
    stream.once("wantTrailers", () => stream.sendTrailers(status));
    stream.end();
    return;
  }
  stream.respond(
    { ":status": 200, "content-type": "application/grpc+proto", ...status },
    { endStream: true },
  );
  // What it may yet send of its request nobody will read.
  stream.resume();
}

async function readRequest(stream: ServerHttp2Stream): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > requestBytesMax + prefixBytes) {
      throw new RpcError(codes.RESOURCE_EXHAUSTED, `a request has at most ${requestBytesMax} bytes here`);
    }
    parts.push(part);
  }
  const all = Buffer.concat(parts);
  if (all.length >= prefixBytes && all[0] === 0 && all.readUInt32BE(1) === all.length - prefixBytes) {
    return all.subarray(prefixBytes);
  }
  throw new RpcError(codes.INVALID_ARGUMENT, "a request is one message here, not compressed", {
    reason: "UNDECODABLE",
  });
}
