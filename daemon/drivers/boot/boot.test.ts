import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BootingMachine } from "../../domain/ports.ts";
import { type BootServer, startBootServer } from "./boot.ts";
import type { BootRequest } from "./http.ts";

const log = pino({ level: "silent" });
const query = "mac=52-54-00-77-00-10&uuid=ABCD-12&platform=efi";
let directory: string;
let server: BootServer;
let decision: "ramdisk" | "disk" | "ignore";
let machines: BootingMachine[];
let requests: BootRequest[];

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), "muster-boot-")), "boot");
  decision = "ramdisk";
  machines = [];
  requests = [];
  const policy = {
    decide: (machine: BootingMachine) => {
      machines.push(machine);
      return decision;
    },
  };
  const options = {
    directory,
    address: "127.0.0.1",
    httpPort: 0,
    onRequest: (request: BootRequest) => requests.push(request),
  };
  server = await startBootServer(options, policy, () => '{"joinToken":"t"}', log);
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(join(directory, ".."), { recursive: true });
});

test("what a machine boots is decided by who it is", async () => {
  await buildRamdisk();
  expect(await text("/boot.ipxe")).toContain(`chain --replace ${server.httpBase}/node.ipxe?mac=`);
  expect(await text(`/node.ipxe?${query}`)).toContain(
    `kernel ${server.httpBase}/vmlinuz?mac=52-54-00-77-00-10 initrd=`,
  );
  decision = "disk";
  expect(await text(`/node.ipxe?${query}`)).toContain("boots from its own disk\niseq");
  decision = "ignore";
  expect(await text(`/node.ipxe?${query}`)).toContain("is not a machine of this cluster");
  expect(machines[0]).toEqual({
    mac: "52:54:00:77:00:10",
    uuid: "abcd-12",
    platform: "efi",
    address: "127.0.0.1",
  });
  expect(requests.map(({ mac, path, decision }) => [mac, path, decision])).toEqual([
    ["", "/boot.ipxe", undefined],
    ["52:54:00:77:00:10", "/node.ipxe", "ramdisk"],
    ["52:54:00:77:00:10", "/node.ipxe", "disk"],
    ["52:54:00:77:00:10", "/node.ipxe", "ignore"],
  ]);
});

test("without a ramdisk the machine is told, and asks again", async () => {
  expect(await text(`/node.ipxe?${query}`)).toContain('run "muster image build --ramdisk"');
  expect(requests[0]?.decision).toBe("wait");
  expect((await fetch(`${server.httpBase}/vmlinuz`)).status).toBe(404);
});

test("kernel and ramdisk are sent whole or in parts", async () => {
  await buildRamdisk();
  const whole = await fetch(`${server.httpBase}/initrd.img`);
  expect(whole.headers.get("content-length")).toBe("10");
  expect(await whole.text()).toBe("0123456789");
  const part = await ranged("bytes=2-4");
  expect([part.status, part.headers.get("content-range"), await part.text()]).toEqual([
    206,
    "bytes 2-4/10",
    "234",
  ]);
  expect(await (await ranged("bytes=7-")).text()).toBe("789");
  expect(await (await ranged("bytes=-2")).text()).toBe("89");
  expect((await ranged("bytes=10-")).status).toBe(416);
  const head = await fetch(`${server.httpBase}/vmlinuz`, { method: "HEAD" });
  expect([head.headers.get("content-length"), await head.text()]).toEqual(["6", ""]);
});

test("the join bundle comes as an initrd", async () => {
  const image = await fetch(`${server.httpBase}/join.img`);
  const archive = gunzipSync(Buffer.from(await image.arrayBuffer())).toString();
  expect(archive).toContain("etc/muster/join.json\0");
  expect(archive).toContain('{"joinToken":"t"}');
});

test("there is nothing else to be had", async () => {
  expect((await fetch(`${server.httpBase}/../pki/ca.key`)).status).toBe(404);
  expect((await fetch(`${server.httpBase}/node.ipxe`)).status).toBe(404);
  expect((await fetch(`${server.httpBase}/boot.ipxe`, { method: "POST" })).status).toBe(405);
});

test("a request that is no URL is refused and harms nobody", async () => {
  const { hostname, port } = new URL(server.httpBase);
  const socket = connect(Number(port), hostname);
  socket.end("GET // HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 400 /);
});

test("a port that is taken is said", async () => {
  const httpPort = Number(new URL(server.httpBase).port);
  const second = startBootServer(
    { directory, address: "127.0.0.1", httpPort },
    { decide: () => "disk" },
    () => "",
    log,
  );
  await expect(second).rejects.toThrow(
    new RegExp(`boot server on 127.0.0.1 port ${httpPort}: the port is taken`),
  );
});

async function buildRamdisk(): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "vmlinuz"), "kernel");
  await writeFile(join(directory, "initrd.img"), "0123456789");
}

const text = async (path: string): Promise<string> => (await fetch(server.httpBase + path)).text();

const ranged = (range: string): Promise<Response> =>
  fetch(`${server.httpBase}/initrd.img`, { headers: { range } });
