// BitTorrent among the nodes, by aria2c: it brings the stored chunks into memory, where the lanes take them from like
// from any other source, and gives them to others as long as the delivery lasts.
import { mkdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ImageSource, ImageSource_Kind } from "../../proto/gen/muster/v1/delivery_pb.ts";
import type { ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import type { Runner } from "../runner.ts";

export type SwarmContext = { signal: AbortSignal; log(line: string): void; run?: Runner };

/** The chunks are below the directory that is the address of the first source, if it was joined. */
export type Swarm = AsyncDisposable & { sources: ImageSource[] };

/** For what is held in memory beside the chunks. */
const memoryFactor = 2n;
/** Without a byte from anybody for so long it is no use. */
const stallSeconds = 60;
/** Only peers that the daemon names: nothing else on the network is asked. */
const alone = [
  "--enable-dht=false",
  "--enable-dht6=false",
  "--enable-peer-exchange=false",
  "--bt-enable-lpd=false",
];
const quietly = ["--quiet", "--console-log-level=warn", "--summary-interval=0", "--file-allocation=none"];

/** Where the sources begin with a torrent it is fetched. Where that cannot be, this says so and the others are used. */
export async function joinSwarm(
  sources: readonly ImageSource[],
  manifest: ImageManifest,
  digest: string,
  context: SwarmContext,
): Promise<Swarm> {
  const others = sources.filter(({ kind }) => kind !== ImageSource_Kind.TORRENT);
  const [first] = sources;
  const without = { sources: others, [Symbol.asyncDispose]: async () => {} };
  if (!context.run || first?.kind !== ImageSource_Kind.TORRENT) return without;
  const { run, signal, log } = context;
  const directory = join(tmpdir(), "muster-torrent", digest);
  const aria = (...options: string[]) =>
    [
      "aria2c",
      ...quietly,
      ...alone,
      "--follow-torrent=mem",
      "--dir",
      directory,
      ...options,
      first.address,
    ] as const;
  const seeding = new AbortController();
  try {
    await checkMemory(manifest);
    await mkdir(directory, { recursive: true });
    const untilDone = ["--seed-time=0", `--bt-stop-timeout=${stallSeconds}`, "--check-integrity=true"];
    await run(aria(...untilDone), { signal, timeoutMs: Number.POSITIVE_INFINITY });
  } catch (error) {
    signal.throwIfAborted();
    log(`not by BitTorrent: ${error instanceof Error ? error.message : error}`);
    await rm(directory, { recursive: true, force: true });
    return without;
  }
  const forOthers = aria("--seed-ratio=0.0", "--bt-seed-unverified=true");
  const both = AbortSignal.any([signal, seeding.signal]);
  const given = run(forOthers, { signal: both, timeoutMs: Number.POSITIVE_INFINITY }).catch(
    (error: unknown) => {
      if (!both.aborted) log(`nothing is given to other nodes: ${error}`);
    },
  );
  return {
    sources: [{ ...first, address: `${directory}/` }, ...others],
    [Symbol.asyncDispose]: async () => {
      seeding.abort();
      await given;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function checkMemory({ chunks }: ImageManifest): Promise<void> {
  const stored = chunks.reduce((sum, { storedBytes }) => sum + BigInt(storedBytes), 0n);
  const [, available = "0"] =
    /^MemAvailable: +(\d+) kB$/m.exec(await readFile("/proc/meminfo", "utf8")) ?? [];
  const bytes = BigInt(available) << 10n;
  if (bytes >= stored * memoryFactor) return;
  throw new Error(
    `the image takes ${formatBytes(stored)} in memory, of which ${formatBytes(bytes)} are free: twice as much is needed`,
  );
}
