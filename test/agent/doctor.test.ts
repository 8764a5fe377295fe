// The doctor's checks that need root: another DHCP server on a network of the test's own, and a full file system.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Surroundings } from "../../daemon/drivers/doctor/check.ts";
import { diskSpace } from "../../daemon/drivers/doctor/disk-space.ts";
import { ExamineResponse_Level as Level } from "../../proto/gen/muster/v1/daemon_pb.ts";

const exec = promisify(execFile);
const run = (command: string, ...args: string[]) => exec(command, args, { timeout: 20_000 });
const path = `${process.env.PATH}:/usr/sbin:/sbin`;

// Two machines on one link: the daemon's, and a stranger that gives out addresses too.
const ours = `doctor-a-${process.pid}`;
const strange = `doctor-b-${process.pid}`;
let directory: string;
const cleanups: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-doctor-"));
  cleanups.push(() => rm(directory, { recursive: true }));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function link(): Promise<void> {
  for (const name of [ours, strange]) {
    await run("ip", "netns", "add", name);
    cleanups.push(() => run("ip", "netns", "delete", name));
    await run("ip", "-n", name, "link", "set", "lo", "up");
  }
  await run(
    "ip",
    "-n",
    ours,
    "link",
    "add",
    "boot0",
    "type",
    "veth",
    "peer",
    "name",
    "lan0",
    "netns",
    strange,
  );
  await run("ip", "-n", ours, "addr", "add", "10.99.0.1/24", "dev", "boot0");
  await run("ip", "-n", strange, "addr", "add", "10.99.0.66/24", "dev", "lan0");
  await run("ip", "-n", ours, "link", "set", "boot0", "up");
  await run("ip", "-n", strange, "link", "set", "lan0", "up");
}

async function dnsmasq(namespace: string, device: string, range: string): Promise<ChildProcess> {
  const pidFile = join(directory, "boot", "dnsmasq.pid");
  await mkdir(join(directory, "boot"), { recursive: true });
  const args = [
    ...["netns", "exec", namespace, "dnsmasq", "-k", "--conf-file=/dev/null", "--user=root", "--port=0"],
    ...["--no-ping", "--bind-interfaces", `--interface=${device}`, `--dhcp-range=${range},255.255.255.0,1h`],
    ...[`--dhcp-leasefile=${directory}/leases-${namespace}`, "--log-facility=-"],
    ...["--enable-tftp", `--tftp-root=${directory}`],
    `--pid-file=${namespace === ours ? pidFile : ""}`,
  ];
  const child = spawn("ip", args, {
    env: { ...process.env, PATH: path },
    stdio: ["ignore", "ignore", "pipe"],
  });
  cleanups.push(async () => {
    if (child.exitCode !== null) return;
    child.kill();
    await once(child, "exit");
  });
  let said = "";
  while (!said.includes("started")) {
    const [line] = (await once(child.stderr, "data")) as [Buffer];
    said += line;
  }
  return child;
}

/** A check in the daemon's network: there it has to run in a process of its own. */
async function inOurs(module: string, check: string): Promise<{ level: Level; message: string }[]> {
  const script = `
    const module = await import(process.argv[1]);
    const surroundings = { stateDir: process.argv[2], address: "10.99.0.1", bootInterface: "boot0",
      socketPath: "/nowhere", ports: { http: 1, enroll: 2, agent: 3, delivery: 4, deliveryHttp: 5 } };
    console.log(JSON.stringify(await module[process.argv[3]].run(surroundings, false)));`;
  const url = new URL(`../../daemon/drivers/doctor/${module}.ts`, import.meta.url).href;
  const node = [process.execPath, "--input-type=module", "-e", script, url, directory, check];
  const { stdout } = await run("ip", "netns", "exec", ours, ...node);
  return JSON.parse(stdout);
}

test("another DHCP server on the boot network is found, the daemon's own is not reported", async () => {
  await link();
  await dnsmasq(ours, "boot0", "10.99.0.100,10.99.0.150");
  expect(await inOurs("dhcp-servers", "dhcpServers")).toMatchObject([
    { level: Level.OK, message: "no other DHCP server answers on boot0 within 3 s" },
  ]);
  await dnsmasq(strange, "lan0", "10.99.0.200,10.99.0.250");
  const found = await inOurs("dhcp-servers", "dhcpServers");
  expect(found).toMatchObject([{ level: Level.ERROR }]);
  expect(found[0]?.message).toMatch(
    /^another DHCP server, 10\.99\.0\.66, answers on boot0 and offers 10\.99\.0\.2\d\d$/,
  );
});

test("the daemon's ports of DHCP and TFTP: held by its dnsmasq, by another program, by nobody", async () => {
  await link();
  const bootPorts = async () =>
    (await inOurs("ports", "ports")).filter(({ message }) => /DHCP|TFTP/.test(message));
  expect((await bootPorts()).map(({ message }) => message)).toEqual([
    "DHCP: nobody holds UDP port 67; the daemon's dnsmasq does not run",
    "TFTP: nobody holds UDP port 69; the daemon's dnsmasq does not run",
  ]);
  const child = await dnsmasq(ours, "boot0", "10.99.0.100,10.99.0.150");
  expect((await bootPorts()).map(({ level }) => level)).toEqual([Level.OK, Level.OK]);
  await writeFile(join(directory, "boot", "dnsmasq.pid"), "1\n");
  expect((await bootPorts()).map(({ message }) => message)).toEqual([
    `DHCP: dnsmasq (pid ${child.pid}) holds UDP port 67 as well`,
    `TFTP: dnsmasq (pid ${child.pid}) holds UDP port 69 as well`,
  ]);
});

test("a file system that is nearly full", async () => {
  await run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", directory);
  cleanups.push(() => run("umount", directory));
  const look = async () => (await diskSpace.run({ stateDir: directory } as Surroundings, false))[0];
  expect(await look()).toMatchObject({ level: Level.ERROR, message: `${directory} has 1 MiB of 1 MiB left` });
  await writeFile(join(directory, "fill"), Buffer.alloc(768 << 10));
  expect((await look())?.message).toContain("has 256 KiB of 1 MiB left");
});
