// The data plane: a process of its own, so that serving images never keeps the control plane waiting. Its first
// line of input is its options; it lives as long as that input is open, so that no daemon leaves one behind.
import type { AddressInfo, Server as NetServer } from "node:net";
import { setPriority } from "node:os";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { errorCode } from "../drivers/files.ts";
import { ImageFiles } from "../drivers/image-files.ts";
import { Buffers } from "./buffers.ts";
import { gate } from "./gate.ts";
import { createDeliveryGrpcServer, type Plane } from "./grpc.ts";
import { createDeliveryHttpServer } from "./http.ts";
import { Meter } from "./meter.ts";
import type { DeliveryOptions, DeliveryReport } from "./options.ts";
import { ServedImages } from "./served-images.ts";
import { swarmPaths } from "./swarm.ts";
import { Throttle } from "./throttle.ts";
import { Torrents } from "./torrents.ts";
import { Tracker } from "./tracker.ts";

/** The daemon's answers to agents and operators come first where there is not enough processor for all. */
const niceness = 5;
const reportMs = 5_000;
/** One that was killed a moment ago may still have the port. */
const bindPatienceMs = 3_000;

// Whoever presses Ctrl-C means the daemon, which ends this one.
process.on("SIGINT", () => {});
process.on("SIGHUP", () => {});
process.on("SIGTERM", () => process.exit(0));
process.stdin.on("close", () => process.exit(0));
setPriority(niceness);

try {
  const options: DeliveryOptions = JSON.parse(await firstLine());
  const plane: Plane = {
    images: new ServedImages(new ImageFiles(options.directory)),
    gate: gate(Buffer.from(options.ticketKey, "base64url"), Date.now),
    throttle: new Throttle(options.limits),
    meter: new Meter(),
    buffers: new Buffers(),
    stallMs: options.stallMs,
  };
  const { address } = options;
  const swarm = swarmPaths(plane.gate, new Torrents(plane.images), new Tracker(() => performance.now()));
  const grpcPort = await patiently(() =>
    listen(createDeliveryGrpcServer(plane), address, options.grpcPort, "--delivery-port"),
  );
  const httpPort = await patiently(() =>
    listen(createDeliveryHttpServer(plane, swarm), address, options.httpPort, "--delivery-http-port"),
  );
  report({ ready: { grpcPort, httpPort } });
  let reported = "";
  setInterval(() => {
    const { served } = plane.meter;
    const now = JSON.stringify(served);
    if (now !== reported) report({ served });
    reported = now;
  }, reportMs);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
}

function firstLine(): Promise<string> {
  return new Promise((resolve) => createInterface({ input: process.stdin }).once("line", resolve));
}

function report(what: DeliveryReport): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

type Listening = Pick<NetServer, "once" | "listen" | "address">;

function listen(server: Listening, address: string, port: number, option: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const why =
        errorCode(cause) === "EADDRINUSE"
          ? `the port is taken; stop what listens there, or choose another ${option}`
          : cause.message;
      reject(new Error(`cannot listen on ${address}:${port}: ${why}`, { cause }));
    });
    server.listen({ host: address, port, backlog: 4096 }, () => {
      resolve((server.address() as AddressInfo).port);
    });
  });
}

async function patiently(open: () => Promise<number>): Promise<number> {
  const until = Date.now() + bindPatienceMs;
  while (true) {
    try {
      return await open();
    } catch (error) {
      const taken = error instanceof Error && /the port is taken/.test(error.message);
      if (!taken || Date.now() > until) throw error;
      await delay(100);
    }
  }
}
