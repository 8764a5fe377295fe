// The daemon's options. There is no configuration file.
import { isIP, isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import { Command, InvalidArgumentError, Option } from "commander";
import { parseBytes } from "./domain/size.ts";
import { exitCodeHelp } from "./state/errors.ts";

const exitCodes = `
Exit codes:
  0   stopped
  1   failed
  2   wrong options
${exitCodeHelp(["inUse", "newer", "damaged", "forbidden", "readOnly", "notADirectory", "unwritable"])}`;

export type DaemonConfig = {
  stateDir: string;
  /** The address that nodes reach the daemon at. */
  address: string;
  httpPort: number;
  enrollPort: number;
  agentPort: number;
  /** Images, by gRPC and by HTTP. */
  deliveryPort: number;
  deliveryHttpPort: number;
  /** Bytes per second; what is absent is not limited. */
  imageRate?: number;
  imageRateRack?: number;
  imageRateNode?: number;
  /** Serve DHCP and TFTP on this interface. */
  bootInterface: string | undefined;
  bootRange: { first: string; last: string } | undefined;
  bootNetmask: string;
  /** IPv6 prefix of that interface: iPXE waits 13 s for a router where nobody advertises one. */
  bootPrefix6: string | undefined;
  unknownMachines: "discover" | "ignore";
  /** Bytes that the image store may hold; 0 is no limit. */
  imageQuota: number;
  /** Tell tools on the operators' socket the schema of the API. */
  reflection: boolean;
};

/** Throws ConfigError. */
export function readConfig(argv: string[], env: NodeJS.ProcessEnv): DaemonConfig {
  const program = new Command("muster daemon")
    .description("keeps the state, boots machines from the network, and deploys clusters")
    .option("--state-dir <dir>", "where everything is kept", env.MUSTER_STATE_DIR ?? "/var/lib/muster")
    .option("--address <ip>", "address that nodes reach this daemon at (default: the boot interface's)", ip)
    .option("--http-port <port>", "kernel, ramdisk and iPXE scripts", port, 8080)
    .option("--enroll-port <port>", "nodes that want to join", port, 8081)
    .option("--agent-port <port>", "agents of nodes that have joined", port, 8082)
    .option("--delivery-port <port>", "images for agents, by gRPC", port, 8083)
    .option("--delivery-http-port <port>", "images for agents, by HTTP", port, 8084)
    .option("--image-rate <rate>", "limit for all images together, such as 1GiB/s", rate)
    .option("--image-rate-rack <rate>", "limit for the nodes with the same label `rack`", rate)
    .option("--image-rate-node <rate>", "limit for one node", rate)
    .option("--boot-interface <name>", "serve DHCP and TFTP on this interface")
    .option("--boot-range <from-to>", "addresses to give out, such as 10.0.0.100-10.0.0.200", range)
    .option("--image-quota <size>", "what the image store may hold, such as 50GiB; 0 is no limit", size, 0)
    .addOption(
      new Option("--unknown-machines <policy>", "what machines get that nobody declared")
        .choices(["discover", "ignore"])
        .default("discover"),
    )
    .option(
      "--reflection",
      "tell tools such as grpcurl the schema of the API on the operators' socket",
      false,
    );
  program.addHelpText("after", exitCodes);
  program.exitOverride().parse(argv, { from: "user" });
  const options = program.opts<Omit<DaemonConfig, "address"> & { address?: string }>();
  const { bootInterface } = options;
  if (bootInterface && !options.bootRange) {
    throw new ConfigError("--boot-interface needs --boot-range: which addresses may be given out");
  }
  if (options.bootRange && !bootInterface) {
    throw new ConfigError("--boot-range needs --boot-interface: where the addresses are given out");
  }
  const found = bootInterface ? ipv4Of(bootInterface) : undefined;
  return {
    ...options,
    address: options.address ?? found?.address ?? "127.0.0.1",
    bootNetmask: found?.netmask ?? "",
    bootPrefix6: bootInterface ? prefix6Of(bootInterface) : undefined,
  };
}

/** The options do not fit together, or not to this machine. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

function ipv4Of(name: string): { address: string; netmask: string } {
  const found = networkInterfaces()[name]?.find(({ family }) => family === "IPv4");
  if (found) return found;
  throw new ConfigError(
    `interface ${name} has no IPv4 address: give it one, or name another --boot-interface`,
  );
}

/** The interface's /64 outside the link-local range, as dnsmasq wants it: fd77::. */
function prefix6Of(name: string): string | undefined {
  const found = networkInterfaces()[name]?.find(
    ({ family, cidr, scopeid }) => family === "IPv6" && scopeid === 0 && cidr?.endsWith("/64"),
  );
  if (!found) return undefined;
  const [head = ""] = found.address.split("::");
  return `${head.split(":").slice(0, 4).join(":")}::`;
}

function ip(text: string): string {
  if (isIP(text)) return text;
  throw new InvalidArgumentError("it is an IP address of this machine, such as 10.0.0.1");
}

function port(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value < 65536) return value;
  throw new InvalidArgumentError("a port is a number from 0 to 65535");
}

function size(text: string): number {
  const bytes = text === "0" ? 0n : parseBytes(text);
  if (bytes !== undefined) return Number(bytes);
  throw new InvalidArgumentError("a size is a number with B, KiB, MiB, GiB or TiB, such as 50GiB, or 0");
}

const rateUnits: Record<string, number> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

function rate(text: string): number {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB)\/s$/.exec(text) ?? [];
  const value = Number(number) * (rateUnits[unit] ?? 0);
  if (value >= 1) return value;
  throw new InvalidArgumentError("a rate is a number with B/s, KiB/s, MiB/s or GiB/s, such as 500MiB/s");
}

function range(text: string): { first: string; last: string } {
  const [, first, last] = /^([\d.]+)-([\d.]+)$/.exec(text) ?? [];
  if (first && last && isIPv4(first) && isIPv4(last)) return { first, last };
  throw new InvalidArgumentError("a range is two addresses, such as 10.0.0.100-10.0.0.200");
}
