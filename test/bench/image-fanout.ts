// Many receivers at once, who throw away what they get: how fast the data plane serves them beside nginx, what a
// receiver costs that does not read, and what the control plane feels of it.
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FetchChunksRequestSchema } from "../../proto/gen/muster/v1/delivery_pb.ts";
import { ImageManifestSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { chunkFile, chunkName, manifestFile } from "../../proto/image/layout.ts";
import type { DataPlane } from "./data-plane.ts";
import type { Nginx } from "./nginx.ts";
import { cpuOf, median, residentOf, timed } from "./timed.ts";

export type FanOut = { ratio: number; ours: number; peers: number; serverCpuPerGib: number };

const receivers = 64;
const shareBytes = 128 << 20;
const stalledReceivers = 64;
const stallMs = 4_000;
const path = "/muster.v1.DeliveryService/FetchChunks";

/** The first chunks of an image, as a request of FetchChunks in a gRPC frame; `bytes` of them are stored. */
export function shareOf(store: string, digest: string): { frame: Buffer; names: string[]; bytes: number } {
  const manifest = fromBinary(ImageManifestSchema, readFileSync(join(store, manifestFile(digest))));
  const indexes: number[] = [];
  let bytes = 0;
  for (const [index, { storedBytes }] of manifest.chunks.entries()) {
    if (bytes >= shareBytes) break;
    indexes.push(index);
    bytes += storedBytes;
  }
  const request = toBinary(FetchChunksRequestSchema, create(FetchChunksRequestSchema, { digest, indexes }));
  const frame = Buffer.alloc(5 + request.length);
  frame.writeUInt32BE(request.length, 1);
  frame.set(request, 5);
  return { frame, names: indexes.map((index) => chunkName(manifest.chunks[index] ?? fail())), bytes };
}

function fail(): never {
  throw new Error("the image has fewer chunks than it says");
}

/** Servers on one core, receivers on the other, as on machines of their own. */
export async function fanOut(
  input: { store: string; digest: string; work: string; plane: DataPlane; nginx: Nginx; served: string },
  rounds: number,
): Promise<FanOut> {
  const { store, digest, work, plane, nginx, served } = input;
  const { frame, names, bytes } = shareOf(store, digest);
  mkdirSync(work, { recursive: true });
  const body = join(work, "request.bin");
  writeFileSync(body, frame);
  // The same bytes as one file, which is what nginx is best at.
  const file = join(served, "share.bin");
  writeFileSync(file, "");
  for (const name of names) writeFileSync(file, readFileSync(join(store, chunkFile(name))), { flag: "a" });
  for (const pid of [plane.pid, ...nginx.pids()]) await timed(`taskset -a -c -p 0 ${pid} >/dev/null`);
  const load = `taskset -c 1 h2load -n ${receivers} -c ${receivers} -m 1 -t 1`;
  const headers = `-H 'content-type: application/grpc' -H 'te: trailers' -H 'muster-ticket: ${plane.ticket([digest])}'`;
  const ours = `${load} -w 24 -W 28 ${headers} -d ${body} http://127.0.0.1:${plane.grpcPort}${path}`;
  const peers = `${load} --h1 ${nginx.url}share.bin`;
  const speeds: { ours: number[]; peers: number[]; cpu: number[] } = { ours: [], peers: [], cpu: [] };
  for (let round = 0; round < rounds; round++) {
    const before = cpuOf(plane.pid);
    speeds.ours.push(speedOf((await timed(ours)).stdout, bytes));
    speeds.cpu.push(((cpuOf(plane.pid) - before) / (receivers * bytes)) * 2 ** 30);
    speeds.peers.push(speedOf((await timed(peers)).stdout, bytes));
  }
  for (const pid of [plane.pid, ...nginx.pids()]) await timed(`taskset -a -c -p 0-1023 ${pid} >/dev/null`);
  const [one, other] = [median(speeds.ours), median(speeds.peers)];
  return { ratio: one / other, ours: one, peers: other, serverCpuPerGib: median(speeds.cpu) };
}

/** MB/s. h2load counts what it got: less than all is a failure of the server. */
function speedOf(said: string, bytes: number): number {
  const seconds = Number(/finished in ([\d.]+)s/.exec(said)?.[1] ?? Number.NaN);
  const [, done] = /requests: .* (\d+) succeeded/.exec(said) ?? [];
  const [, got] = /traffic: .*\((\d+)\) total/.exec(said) ?? [];
  if (Number(done) !== receivers || Number(got) < receivers * bytes) throw new Error(`h2load says:\n${said}`);
  return (receivers * bytes) / 1e6 / seconds;
}

/** Megabytes of the data plane's memory for one receiver that asks and never reads. */
export async function stalledMegabytes(store: string, digest: string, plane: DataPlane): Promise<number> {
  const { frame } = shareOf(store, digest);
  const before = residentOf(plane.pid);
  const sessions = Array.from({ length: stalledReceivers }, () => {
    const session = connect(`http://127.0.0.1:${plane.grpcPort}`, {
      settings: { initialWindowSize: 8 << 20 },
    });
    session.on("error", () => {});
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      "muster-ticket": plane.ticket([digest]),
    });
    stream.on("error", () => {});
    stream.end(frame);
    return session;
  });
  await sleep(stallMs);
  const grown = residentOf(plane.pid) - before;
  for (const session of sessions) session.destroy();
  return grown / stalledReceivers / 1e6;
}

export type Latencies = { heartbeatMs: number; watchMs: number; samples: number };

/** What the control plane's callers wait, 99th percentile, while `load` goes on over its data plane. */
export async function probe(stateDir: string, enrollPort: number, agentPort: number, seconds: number) {
  const main = join(import.meta.dirname, "image-probe.ts");
  const argv = [main, stateDir, String(enrollPort), String(agentPort), String(seconds)];
  const child = spawn("setpriv", ["--pdeathsig", "KILL", process.execPath, ...argv], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  for await (const text of child.stdout) said += text;
  return JSON.parse(said) as Latencies;
}

/** A store's files, in a state directory. */
export function copyStore(from: string, stateDir: string, digest: string): void {
  const { names } = shareOf(from, digest);
  const to = join(stateDir, "images");
  const manifest = manifestFile(digest);
  for (const file of [manifest, `${manifest}.sig`, ...names.map(chunkFile)]) {
    mkdirSync(join(to, file, ".."), { recursive: true });
    copyFileSync(join(from, file), join(to, file));
  }
}
