// `npm run bench -- image [--work DIR] [--rounds N] [--only GROUP,…] [--ipa CHECKOUT]`: delivery of images against
// what people use, in turns in one run. Needs nginx, bmap-tools, h2load (nghttp2-client), openssl, curl and zstd, and
// 25 GB. The data stays in --work for another run.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundleAgent } from "../../imagebuild/agent-bundle.ts";
import { ImageSource_Kind } from "../../proto/gen/muster/v1/delivery_pb.ts";
import { DataPlane } from "./data-plane.ts";
import type { Order } from "./image-client.ts";
import { controlUnderLoad } from "./image-control.ts";
import { type ImageData, makeImages } from "./image-data.ts";
import { fanOut, stalledMegabytes } from "./image-fanout.ts";
import { bmaptool, ironicPythonAgent, plainPipe, verifiedPipe } from "./image-peers.ts";
import { type Nginx, startNginx } from "./nginx.ts";
import { type Case, inTurns, type Summary, table } from "./rounds.ts";
import { cpuOf, timed } from "./timed.ts";

/** The least ratio that is asked for; of `cpu` and sizes, the most. */
const bars: Record<string, { least?: number; most?: number }> = {
  dense_grpc_vs_openssl: { least: 1.4 },
  dense_http_vs_curl_dd: { least: 1.5 },
  dense_http_cpu_vs_curl_dd: { most: 0.8 },
  real_vs_openssl: { least: 5 },
  real_vs_unverified: { least: 2.2 },
  real_vs_bmaptool: { least: 2.5 },
  upgrade_speed: { least: 3 },
  fanout64_vs_nginx: { least: 0.75 },
  import_vs_zstd: { most: 1.5 },
  cpu_vs_ipa: { most: 0.75 },
  upgrade_bytes_pct: { most: 15 },
  server_cpu_s_per_gib: { most: 0.8 },
  stalled_client_mb: { most: 2 },
  heartbeat_p99_ms: { most: 50 },
  watch_p99_ms: { most: 50 },
};

type Figures = Record<string, number>;
type Packed = { digest: string; content: number; stored: number };

type World = {
  work: string;
  store: string;
  /** The program of the agent's side. */
  client: string;
  data: ImageData;
  plane: DataPlane;
  nginx: Nginx;
  dense: Packed;
  real: Packed;
  rebuilt: Packed;
  rounds: number;
  ipa: string;
};

const groups: Record<string, (world: World) => Promise<Figures>> = { dense, real, upgrade, fanout, imported };
const denseBytes = 2 ** 31;
const realBytes = 2 ** 32;

/** True if every bar is met. */
export async function image(argv: string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: argv,
    options: {
      work: { type: "string", default: join(tmpdir(), "muster-bench-image") },
      rounds: { type: "string", default: "5" },
      only: { type: "string", default: Object.keys(groups).join() },
      ipa: { type: "string", default: "" },
    },
  });
  const work = values.work;
  const data = await makeImages(join(work, "images"));
  const store = join(work, "store");
  rmSync(store, { recursive: true, force: true });
  const packed = {
    dense: await pack(store, "dense", data.dense),
    real: await pack(store, "real", data.real, "ext4"),
    rebuilt: await pack(store, "real", data.rebuilt, "ext4"),
  };
  await using plane = await DataPlane.start(store);
  await using nginx = await startNginx(work, work);
  const rounds = Number(values.rounds);
  const client = join(work, "client.mjs");
  writeFileSync(client, (await bundleAgent(join(import.meta.dirname, "image-client.ts"))).code);
  const world = { work, store, client, data, plane, nginx, ...packed, rounds, ipa: values.ipa };
  mkdirSync(join(work, "targets"), { recursive: true });
  const figures: Figures = {};
  for (const name of values.only.split(",")) Object.assign(figures, await groups[name]?.(world));
  return report(figures);
}

async function pack(store: string, name: string, path: string, filesystem = ""): Promise<Packed> {
  const main = join(import.meta.dirname, "image-pack.ts");
  return JSON.parse(
    (await timed(`${process.execPath} ${main} ${store} ${name} ${path} ${filesystem}`)).stdout,
  );
}

async function dense(world: World): Promise<Figures> {
  const { data, nginx, plane, dense: packed, rounds, ipa, work } = world;
  const target = await makeTarget(world, "dense", denseBytes);
  const url = `${nginx.url}images/dense.img`;
  const digest = await sha256(data.dense);
  const mirror = `${nginx.url}store/`;
  const cases: Case[] = [
    shell("curl | tee >(openssl) | dd", nginx.pids(), verifiedPipe(url, target, "", digest)),
    ours(world, "ours, gRPC, verified", [plane.pid], { ...orderOf(world, packed, target) }),
    shell("curl | dd, not verified", nginx.pids(), plainPipe(url, target, "")),
    ours(world, "ours, HTTP from nginx, verified", nginx.pids(), {
      ...orderOf(world, packed, target),
      kind: ImageSource_Kind.HTTP,
      address: mirror,
    }),
  ];
  const agent = ipa ? ironicPythonAgent(ipa, join(work, "ipa.py")) : undefined;
  if (agent) cases.push(shell("ironic-python-agent, verified", nginx.pids(), agent(url, target, digest)));
  const runs = await inTurns(cases, rounds);
  say(table("Dense image, 2 GiB that cannot be compressed", runs.values(), denseBytes));
  const [pipe, grpc, plain, http, ironic] = [...runs.values()] as [
    Summary,
    Summary,
    Summary,
    Summary,
    Summary?,
  ];
  return {
    dense_grpc_vs_openssl: pipe.seconds / grpc.seconds,
    dense_http_vs_curl_dd: plain.seconds / http.seconds,
    dense_http_cpu_vs_curl_dd: cpu(http) / cpu(plain),
    server_cpu_s_per_gib: (grpc.serverCpu / denseBytes) * 2 ** 30,
    ...(ironic && { cpu_vs_ipa: cpu(grpc) / cpu(ironic) }),
  };
}

async function real(world: World): Promise<Figures> {
  const { data, nginx, plane, real: packed, rounds } = world;
  const target = await makeTarget(world, "real", realBytes);
  const url = `${nginx.url}images/real.img.zst`;
  const digest = await sha256(data.real);
  const cases = [
    shell(
      "curl | zstd -d | tee >(openssl) | dd",
      nginx.pids(),
      verifiedPipe(url, target, "zstd -dc |", digest),
    ),
    shell("curl | zstd -d | dd, not verified", nginx.pids(), plainPipe(url, target, "zstd -dc |")),
    shell("bmaptool, http, .zst", nginx.pids(), bmaptool(url, `${data.real}.bmap`, target)),
    ours(world, "ours, gRPC, verified", [plane.pid], orderOf(world, packed, target)),
  ];
  const runs = await inTurns(cases, rounds);
  say(table("Real image, 4 GiB, a quarter full", runs.values(), realBytes));
  const [pipe, plain, bmap, grpc] = [...runs.values()] as [Summary, Summary, Summary, Summary];
  return {
    real_vs_openssl: pipe.seconds / grpc.seconds,
    real_vs_unverified: plain.seconds / grpc.seconds,
    real_vs_bmaptool: bmap.seconds / grpc.seconds,
  };
}

/** Each time over the old version, which is written anew before. */
async function upgrade(world: World): Promise<Figures> {
  const { plane, real: before, rebuilt, rounds } = world;
  const target = await makeTarget(world, "upgrade", realBytes);
  const reset = ours(world, "", [plane.pid], orderOf(world, before, target));
  const moved: Record<string, number> = {};
  const over = (name: string, formers: string[]): Case => ({
    name,
    run: async () => {
      await reset.run();
      const order = { ...orderOf(world, rebuilt, target), formers };
      return ours(world, name, [plane.pid], order, (tally) => {
        moved[name] = tally.moved;
      }).run();
    },
  });
  const [full, update] = ["ours, all of it", "ours, what has changed"];
  const runs = await inTurns([over(full, []), over(update, [before.digest])], rounds);
  say(table("Rebuilt image onto a disk with the old one", runs.values(), realBytes));
  const [whole, changed] = [...runs.values()] as [Summary, Summary];
  return {
    upgrade_speed: whole.seconds / changed.seconds,
    upgrade_bytes_pct: ((moved[update] ?? Number.NaN) / (moved[full] ?? Number.NaN)) * 100,
  };
}

async function fanout(world: World): Promise<Figures> {
  const { store, work, plane, nginx, dense: packed } = world;
  const input = { store, digest: packed.digest, work, plane, nginx, served: work };
  const { ratio, ours, peers, serverCpuPerGib } = await fanOut(input, Math.min(3, world.rounds));
  say(
    `64 receivers: ours ${ours.toFixed(0)} MB/s (${serverCpuPerGib.toFixed(2)} CPU s/GiB), nginx ${peers.toFixed(0)} MB/s`,
  );
  const stalled = await stalledMegabytes(store, packed.digest, plane);
  const { heartbeatMs, watchMs, samples } = await controlUnderLoad(store, packed.digest, work);
  say(
    `control plane meanwhile, ${samples} samples: heartbeat p99 ${heartbeatMs.toFixed(1)} ms, watch ${watchMs.toFixed(1)} ms`,
  );
  return {
    fanout64_vs_nginx: ratio,
    stalled_client_mb: stalled,
    heartbeat_p99_ms: heartbeatMs,
    watch_p99_ms: watchMs,
  };
}

/** Every run has a directory of its own: ext4 is slow for minutes where many files were just removed. */
async function imported({ work, data, rounds }: World): Promise<Figures> {
  const scratch = join(work, "import");
  const main = join(import.meta.dirname, "image-pack.ts");
  const source = join(work, "images", "first-half.img");
  await timed(`[ -e ${source} ] || head -c 2G ${data.real} >${source}`);
  rmSync(scratch, { recursive: true, force: true });
  let count = 0;
  const run = (name: string, script: (directory: string) => string): Case => ({
    name,
    run: async () => {
      const directory = join(scratch, String(++count));
      mkdirSync(directory, { recursive: true });
      const { seconds, cpuSeconds } = await timed(script(directory));
      return { seconds, clientCpu: cpuSeconds, serverCpu: 0 };
    },
  });
  const cases = [
    run("zstd -T0 -3", (directory) => `zstd -q -T0 -3 ${source} -o ${directory}/zst; sync ${directory}/zst`),
    run(
      "ours",
      (directory) => `${process.execPath} ${main} ${directory} first ${source}; sync -f ${directory}`,
    ),
  ];
  const runs = await inTurns(cases, rounds);
  rmSync(scratch, { recursive: true, force: true });
  say(table("Import of the first 2 GiB of the real image", runs.values(), 2 ** 31));
  const [peer, own] = [...runs.values()] as [Summary, Summary];
  return { import_vs_zstd: own.seconds / peer.seconds };
}

function orderOf({ store, plane }: World, { digest }: Packed, target: string): Order {
  const ticket = plane.ticket([digest]);
  const address = `127.0.0.1:${plane.grpcPort}`;
  return { store, digest, formers: [], target, kind: ImageSource_Kind.GRPC, address, ticket };
}

function ours(
  world: World,
  name: string,
  servers: number[],
  order: Order,
  onTally: (tally: { moved: number }) => void = () => {},
): Case {
  const script = `${process.execPath} ${world.client} '${JSON.stringify(order)}'`;
  return shell(name, servers, script, (stdout) => onTally(JSON.parse(stdout)));
}

function shell(name: string, servers: number[], script: string, onOutput = (_: string) => {}): Case {
  return {
    name,
    run: async () => {
      const serverCpu = () => servers.reduce((sum, pid) => sum + cpuOf(pid), 0);
      const before = serverCpu();
      const { seconds, cpuSeconds, stdout } = await timed(script);
      onOutput(stdout);
      return { seconds, clientCpu: cpuSeconds, serverCpu: serverCpu() - before };
    },
  };
}

/** A file that has all its blocks, as a disk has. */
async function makeTarget({ work }: World, name: string, bytes: number): Promise<string> {
  const path = join(work, "targets", `${name}.disk`);
  const count = bytes / 2 ** 20;
  await timed(
    `[ -e ${path} ] || dd if=/dev/zero of=${path} bs=1M count=${count} oflag=direct status=none; sync ${path}`,
  );
  return path;
}

async function sha256(path: string): Promise<string> {
  return (await timed(`openssl dgst -sha256 -r ${path}`)).stdout.split(" ")[0] ?? "";
}

const cpu = ({ clientCpu, serverCpu }: Summary): number => clientCpu + serverCpu;

function say(text: string): void {
  process.stdout.write(`${text}\n\n`);
}

function report(figures: Figures): boolean {
  let good = true;
  for (const [name, value] of Object.entries(figures)) {
    const { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY } = bars[name] ?? {};
    const isMet = value >= least && value <= most;
    good &&= isMet;
    const bar = Number.isFinite(least) ? `at least ${least}` : `at most ${most}`;
    process.stdout.write(
      `${name.padEnd(28)} ${value.toFixed(2).padStart(8)}  ${bar}: ${isMet ? "met" : "MISSED"}\n`,
    );
  }
  const others = [
    "upgrade_bytes_pct",
    "server_cpu_s_per_gib",
    "stalled_client_mb",
    "heartbeat_p99_ms",
    "watch_p99_ms",
  ];
  const rounded = Object.entries(figures).map(([name, value]) => [name, Number(value.toFixed(3))] as const);
  const ratios = Object.fromEntries(rounded.filter(([name]) => !others.includes(name)));
  const rest = Object.fromEntries(rounded.filter(([name]) => others.includes(name)));
  process.stdout.write(`RESULT ${JSON.stringify({ ratios, ...rest })}\n`);
  return good;
}
