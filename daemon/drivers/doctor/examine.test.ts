// Each check against a real fault: closed ports, damaged chunks, expired certificates, tight limits.
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ExamineResponse_Level as Level } from "../../../proto/gen/muster/v1/daemon_pb.ts";
import { chunkFile } from "../../../proto/image/layout.ts";
import { openCa } from "../ca.ts";
import { blocks, nameOf, writeBuiltImage } from "../image-fixture.ts";
import { ImageStore } from "../image-store.ts";
import type { Surroundings } from "./check.ts";
import { clockVerdict } from "./clock.ts";
import { discoverMessage, parseOffer } from "./dhcp-probe.ts";
import { checkNames, examine } from "./examine.ts";
import { memoryVerdict } from "./memory.ts";
import { udpHolders } from "./udp-holders.ts";

const dayMs = 24 * 3600_000;
let stateDir: string;
const cleanups: (() => unknown)[] = [];

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "muster-doctor-"));
  await mkdir(join(stateDir, "db"));
  await writeFile(join(stateDir, "db", "000003.log"), "records");
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(stateDir, { recursive: true });
});

async function tcpPort(): Promise<number> {
  const server = createServer((socket) => socket.end());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function openPorts(): Promise<Surroundings["ports"]> {
  const [http, enroll, agent] = [await tcpPort(), await tcpPort(), await tcpPort()];
  return { http, enroll, agent, delivery: await tcpPort(), deliveryHttp: await tcpPort() };
}

async function surroundings(changes: Partial<Surroundings> = {}): Promise<Surroundings> {
  const socketPath = join(stateDir, "muster.sock");
  await rm(socketPath, { force: true });
  const operators = createServer().listen(socketPath);
  await once(operators, "listening");
  cleanups.push(() => operators.close());
  return {
    stateDir,
    socketPath,
    address: "127.0.0.1",
    ports: await openPorts(),
    bootInterface: undefined,
    certificates: [],
    images: new ImageStore(join(stateDir, "images"), () => new Uint8Array([1])),
    registered: () => [],
    nodeCount: () => 3,
    now: Date.now,
    ...changes,
  };
}

async function findings(changes: Partial<Surroundings>, ...names: string[]) {
  return Array.fromAsync(examine(await surroundings(changes), names));
}

const worst = (found: { level: Level }[]) =>
  found.some(({ level }) => level === Level.ERROR)
    ? Level.ERROR
    : found.some(({ level }) => level === Level.WARNING)
      ? Level.WARNING
      : (found[0]?.level ?? Level.UNSPECIFIED);

describe("the doctor", () => {
  it("makes every check, or those that are named, and gives a remedy with every fault", async () => {
    const all = await findings({});
    expect(new Set(all.map(({ check }) => check))).toEqual(
      new Set(checkNames.filter((name) => name !== "certificates")),
    );
    for (const { level, message, remedy } of all) {
      expect(message).not.toBe("");
      if (level === Level.WARNING || level === Level.ERROR) expect(remedy).not.toBe("");
    }
    const some = await findings({ nodeCount: () => 1 }, "memory", "ports");
    expect(some.map(({ check }) => check)).toEqual([...Array(6).fill("ports"), "memory"]);
  });

  it("says that a check could not be made, and goes on", async () => {
    await rm(join(stateDir, "db"), { recursive: true });
    const found = await findings({}, "database-size", "memory");
    expect(found[0]).toMatchObject({ check: "database-size", level: Level.SKIPPED });
    expect(found[0]?.message).toContain("could not be made: ENOENT");
    expect(found[1]?.check).toBe("memory");
  });
});

describe("ports", () => {
  it("answer, or it is said which does not", async () => {
    expect(worst(await findings({}, "ports"))).toBe(Level.OK);
    const free = await tcpPort();
    await cleanups.pop()?.();
    const ports = { ...(await openPorts()), enroll: free };
    const found = await findings({ ports, socketPath: join(stateDir, "none") }, "ports");
    const { OK, ERROR } = Level;
    expect(found.map(({ level }) => level)).toEqual([ERROR, OK, ERROR, OK, OK, OK]);
    expect(found[2]?.message).toContain(`joining nodes: nobody answers at 127.0.0.1 port ${free}`);
  });

  it("of UDP are found with the process that holds them", async () => {
    const socket = createSocket("udp4").bind(0, "127.0.0.1");
    await once(socket, "listening");
    const { port } = socket.address();
    expect((await udpHolders(port)).map(({ pid }) => pid)).toContain(process.pid);
    await new Promise<void>((closed) => socket.close(closed));
    expect(await udpHolders(port)).toEqual([]);
  });
});

describe("images", () => {
  const contents = Array.from({ length: 200 }, (_, index) => blocks(`chunk ${index} `));
  const pathOf = (index: number, root: string) =>
    join(root, chunkFile(nameOf(contents[index] ?? Buffer.alloc(0))));

  async function registered() {
    const built = join(stateDir, "built");
    await writeBuiltImage(built, contents, { name: "debian" });
    const images = new ImageStore(join(stateDir, "images"), () => new Uint8Array([1]));
    const { digest } = await images.register(built);
    return { images, registered: () => [{ name: "debian", digest }] };
  }

  it("have all their chunks; a sample is read, or all when asked for by name", async () => {
    const image = await registered();
    const [sampled] = (await findings(image)).filter(({ check }) => check === "images");
    expect(sampled?.message).toMatch(/200 chunks are there, 50 of them were read/);
    const [all] = await findings(image, "images");
    expect(all).toMatchObject({
      level: Level.OK,
      message: "image debian: 200 chunks are there, 200 of them were read",
    });
  });

  it("are told of when the store's quota leaves them little room", async () => {
    const { images, registered: list } = await registered();
    const { stored } = await images.usage();
    const limited = async (quota: number) => {
      const store = new ImageStore(join(stateDir, "images"), () => new Uint8Array([1]), quota);
      return (await findings({ images: store, registered: list }, "images"))[1];
    };
    expect((await limited(2 * stored))?.level).toBe(Level.OK);
    const full = await limited(stored + 1000);
    expect(full).toMatchObject({ level: Level.WARNING, remedy: expect.stringContaining("image gc") });
    expect(full?.message).toMatch(/holds 8\d\d(\.\d)? KiB of the 8\d\d(\.\d)? KiB that it may hold/);
  });

  it("that miss a chunk, or have a short or changed one, are named", async () => {
    const image = await registered();
    const store = join(stateDir, "images");
    await rm(pathOf(7, store));
    await truncate(pathOf(9, store), 3);
    // The same size with other content: only reading finds it.
    await writeFile(pathOf(11, store), Buffer.alloc(contents[11]?.length ?? 0));
    const [sampled] = (await findings(image)).filter(({ check }) => check === "images");
    expect(sampled?.message).toContain("2 of 200 chunks are missing or damaged");
    const [all] = await findings(image, "images");
    expect(all).toMatchObject({
      level: Level.ERROR,
      remedy: expect.stringContaining("muster image repair debian"),
    });
    expect(all?.message).toContain("3 of 200 chunks are missing or damaged");
    await rm(join(store, "manifests"), { recursive: true });
    expect((await findings(image, "images"))[0]?.message).toContain("manifest or signature is missing");
  });
});

describe("clock and certificates", () => {
  it("are judged by what timedatectl says", () => {
    expect(clockVerdict("NTP=yes\nNTPSynchronized=yes\n", "t").level).toBe(Level.OK);
    expect(clockVerdict("NTP=yes\nNTPSynchronized=no\n", "t").message).toContain("has not reached a server");
    expect(clockVerdict("NTP=no\nNTPSynchronized=no\n", "t")).toMatchObject({ level: Level.WARNING });
  });

  it("that are not valid yet, not any more or not for long are told", async () => {
    const ca = await openCa(join(stateDir, "pki"), ["127.0.0.1"], () => new Date());
    const certificates = [{ name: "the daemon's certificate", pem: ca.serverCert }];
    const at = async (days: number) => {
      const now = () => Date.now() + days * dayMs;
      return (await findings({ certificates, now }, "certificates"))[0];
    };
    expect((await at(0))?.level).toBe(Level.OK);
    expect(await at(-2)).toMatchObject({
      level: Level.ERROR,
      message: expect.stringContaining("clock is behind"),
    });
    expect(await at(100 * 365)).toMatchObject({
      level: Level.ERROR,
      message: expect.stringContaining("not been valid"),
    });
  });
});

describe("limits", () => {
  it("of open files are compared with the number of nodes, in a process that has few", async () => {
    const script = `
      const { fileLimits } = await import(process.argv[1]);
      for (const count of [10, 100]) console.log((await fileLimits.run({ nodeCount: () => count }))[0].level);`;
    const module = new URL("./file-limits.ts", import.meta.url).href;
    const shell = [
      "-c",
      'ulimit -n 128; exec "$0" --input-type=module -e "$1" "$2"',
      process.execPath,
      script,
      module,
    ];
    const { stdout } = await promisify(execFile)("sh", shell, { timeout: 15_000 });
    expect(stdout.trim().split("\n").map(Number)).toEqual([Level.WARNING, Level.ERROR]);
  });

  it("of memory and of the database's size", async () => {
    const mib = 1 << 20;
    expect([10, 100, 1000].map((size) => memoryVerdict(size * mib, 50 * mib).level)).toEqual([
      Level.ERROR,
      Level.WARNING,
      Level.OK,
    ]);
    expect(worst(await findings({}, "database-size"))).toBe(Level.OK);
    await truncate(join(stateDir, "db", "000003.log"), 3 * 1024 ** 3);
    const [found] = await findings({}, "database-size");
    expect(found?.message).toContain("3 GiB");
    expect(found?.level).toBe(Level.WARNING);
  });
});

it("reads offers of DHCP, and only those that answer its own question", () => {
  const transaction = Buffer.from([1, 2, 3, 4]);
  const offer = discoverMessage(transaction);
  expect(parseOffer(offer, transaction)).toBeUndefined();
  offer[0] = 2;
  offer.set([10, 0, 0, 99], 16);
  offer.set([53, 1, 2, 0, 54, 4, 10, 0, 0, 1, 255], 240);
  expect(parseOffer(offer, transaction)).toEqual({ server: "10.0.0.1", offered: "10.0.0.99" });
  expect(parseOffer(offer, Buffer.from([9, 9, 9, 9]))).toBeUndefined();
  // Cut off anywhere, it is no offer, and nothing breaks.
  for (let length = 0; length < 249; length++)
    expect(parseOffer(offer.subarray(0, length), transaction)).toBeUndefined();
  offer.set([53, 1, 5], 240);
  expect(parseOffer(offer, transaction)).toBeUndefined();
});
