// The peer: a bare grpc-js server with one mutual TLS stream per agent. `raw-server.ts PKI-DIRECTORY PORT`
import { readFileSync } from "node:fs";
import path from "node:path";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { answer } from "./children.ts";
import { frames, identity, kinds, rawPath } from "./raw.ts";

const [pki = "", port = ""] = process.argv.slice(2);
type Stream = ServerDuplexStream<Buffer, Buffer>;

const streams = new Set<Stream>();
let acknowledging = false;
/** Who has not answered the broadcast yet. */
const unanswered = new Set<Stream>();
let allAnswered = () => {};

function session(stream: Stream): void {
  streams.add(stream);
  stream.on("data", (bytes: Buffer) => {
    if (bytes[0] === kinds.hello) stream.write(frames.welcome);
    else if (bytes[0] === kinds.heartbeat && acknowledging) stream.write(frames.heartbeat);
    else if (bytes[0] === kinds.done) answered(stream);
  });
  const gone = () => {
    streams.delete(stream);
    answered(stream);
  };
  stream.on("error", gone);
  stream.on("end", () => stream.end());
  stream.on("close", gone);
}

function answered(stream: Stream): void {
  if (unanswered.delete(stream) && unanswered.size === 0) allAnswered();
}

/** Milliseconds until every agent has answered one message, or has gone. */
async function broadcast(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>();
  allAnswered = resolve;
  const begin = performance.now();
  for (const stream of streams) unanswered.add(stream);
  for (const stream of streams) stream.write(frames.order);
  await promise;
  return performance.now() - begin;
}

const server = new Server();
server.addService(
  {
    session: {
      path: rawPath,
      requestStream: true,
      responseStream: true,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  },
  { session },
);
const read = (name: string) => readFileSync(path.join(pki, name));
const credentials = ServerCredentials.createSsl(
  read("ca.pem"),
  [{ private_key: read("server.key"), cert_chain: read("server.pem") }],
  true,
);
const listening = new Promise<void>((resolve, reject) => {
  server.bindAsync(`127.0.0.1:${port}`, credentials, (error) => (error ? reject(error) : resolve()));
});

answer({
  ready: () => listening,
  streams: () => streams.size,
  acknowledge: (on: boolean) => {
    acknowledging = on;
  },
  broadcast,
});
