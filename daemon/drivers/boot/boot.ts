// The boot server: HTTP always; DHCP, TFTP and router advertisements when it is given an interface.
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import type { Logger } from "pino";
import type { BootPolicy } from "../../domain/ports.ts";
import { errorCode } from "../files.ts";
import { type DhcpEvent, makeTftpRoot, startDnsmasq } from "./dnsmasq.ts";
import type { DnsmasqOptions } from "./dnsmasq-conf.ts";
import { type BootRequest, createBootHttpServer } from "./http.ts";

export type BootOptions = {
  /** `<state>/boot`: has vmlinuz and initrd.img; the boot server keeps its own files there too. */
  directory: string;
  /** Of the daemon on the machines' network. */
  address: string;
  /** 0: any. */
  httpPort: number;
  dhcp?: Pick<DnsmasqOptions, "interface" | "range" | "prefix6">;
  onDhcp?: (event: DhcpEvent) => void;
  onRequest?: (request: BootRequest) => void;
};

export type BootServer = AsyncDisposable & { httpBase: string };

export async function startBootServer(
  options: BootOptions,
  policy: BootPolicy,
  joinBundle: () => string,
  log: Logger,
): Promise<BootServer> {
  await mkdir(options.directory, { recursive: true });
  await using running = new AsyncDisposableStack();
  const host = isIPv6(options.address) ? `[${options.address}]` : options.address;
  let httpBase = "";
  const server = createBootHttpServer({
    bootDirectory: options.directory,
    base: () => httpBase,
    policy,
    joinBundle,
    onRequest: options.onRequest,
    log,
  });
  await listen(server, options.httpPort, options.address);
  running.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  httpBase = `http://${host}:${(server.address() as AddressInfo).port}`;
  if (options.dhcp) running.use(await startDhcp(options, options.dhcp, httpBase, log));
  const stack = running.move();
  return { httpBase, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function startDhcp(
  options: BootOptions,
  dhcp: NonNullable<BootOptions["dhcp"]>,
  httpBase: string,
  log: Logger,
): Promise<AsyncDisposable> {
  const tftpRoot = join(options.directory, "tftp");
  await makeTftpRoot(tftpRoot);
  const dnsmasq = {
    ...dhcp,
    address: options.address,
    httpBase,
    tftpRoot,
    leaseFile: join(options.directory, "leases"),
    pidFile: join(options.directory, "dnsmasq.pid"),
    confFile: join(options.directory, "dnsmasq.conf"),
  };
  return await startDnsmasq(dnsmasq, options.onDhcp ?? (() => {}), log);
}

async function listen(
  server: ReturnType<typeof createBootHttpServer>,
  port: number,
  address: string,
): Promise<void> {
  try {
    server.listen(port, address);
    await once(server, "listening");
  } catch (cause) {
    const remedies: Record<string, string> = {
      EADDRINUSE: "the port is taken; stop what listens there, or choose another --http-port",
      EADDRNOTAVAIL: "this machine has no such address; give one that it has on the machines' network",
      EACCES: "not allowed; run the daemon as root, or choose a port above 1023",
    };
    const remedy = remedies[errorCode(cause) ?? ""] ?? String(cause);
    throw new Error(`boot server on ${address} port ${port}: ${remedy}`, { cause });
  }
}
