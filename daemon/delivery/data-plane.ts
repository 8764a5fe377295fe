// The data plane as the daemon's child: started, watched over, and asked for what it has done.
import { join } from "node:path";
import type { Logger } from "pino";
import { superviseChild } from "../drivers/child.ts";
import { type DeliveryOptions, parseReport, type Served } from "./options.ts";
import { issueTicket, type Ticket } from "./ticket.ts";

export type DataPlane = AsyncDisposable & {
  /** Ports that the system has chosen are others after a restart. */
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Opens these images to a node for some hours. */
  admit(who: Omit<Ticket, "expiryMs">): Admission;
  /** Since the process was started. */
  readonly served: Served;
};

export type Admission = {
  ticket: string;
  /** host:port. */
  grpcAddress: string;
  /** With the ticket in it, and a slash at the end. */
  httpAddress: string;
};

/** Longer than the writing of an image may take. */
const ticketMs = 6 * 3_600_000;

/** Resolves when its ports are open. Throws an error with the cause and the remedy. */
export async function startDataPlane(options: DeliveryOptions, log: Logger): Promise<DataPlane> {
  const nothing: Served = { bytes: 0, streams: 0, stalled: 0 };
  let ports = { grpcPort: 0, httpPort: 0 };
  let served = nothing;
  const child = await superviseChild({
    name: "the image data plane",
    command: process.execPath,
    args: [join(import.meta.dirname, "main.ts")],
    input: `${JSON.stringify(options)}\n`,
    log,
    isReady: (line) => line.startsWith('{"ready":'),
    onLine: (line) => {
      const report = parseReport(line);
      if (!report) return log.warn(`image data plane: ${line}`);
      if ("ready" in report) [ports, served] = [report.ready, nothing];
      else {
        served = report.served;
        log.debug(served, "image data plane: served since its start");
      }
    },
  });
  return {
    get grpcPort() {
      return ports.grpcPort;
    },
    get httpPort() {
      return ports.httpPort;
    },
    admit: (who) => {
      // By the system's clock, which the child has too.
      const expiryMs = Date.now() + ticketMs;
      const ticket = issueTicket(Buffer.from(options.ticketKey, "base64url"), { ...who, expiryMs });
      const at = (port: number) => `${options.address}:${port}`;
      const httpAddress = `http://${at(ports.httpPort)}/t/${ticket}/`;
      return { ticket, grpcAddress: at(ports.grpcPort), httpAddress };
    },
    get served() {
      return served;
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}
