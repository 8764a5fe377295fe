// What the daemon hands the data plane's process on its standard input, and what comes back on its output: one
// line of JSON each.

export type DeliveryOptions = {
  /** The image store. */
  directory: string;
  /** Where the ports are opened. */
  address: string;
  grpcPort: number;
  httpPort: number;
  /** What tickets are sealed with, in base64url. */
  ticketKey: string;
  /** Bytes per second; what is absent is not limited. */
  limits: RateLimits;
  /** How long a receiver may read nothing of what it asked for. */
  stallMs: number;
};

export type RateLimits = {
  total?: number | undefined;
  rack?: number | undefined;
  node?: number | undefined;
};

export type DeliveryReport =
  /** Its ports are open. */
  | { ready: { grpcPort: number; httpPort: number } }
  /** Since its start. */
  | { served: Served };

export type Served = {
  /** Stored bytes of chunks. */
  bytes: number;
  /** Of the moment. */
  streams: number;
  /** Receivers that were given up. */
  stalled: number;
};

/** Undefined for a line that is something else, such as a warning. */
export function parseReport(line: string): DeliveryReport | undefined {
  if (!line.startsWith('{"ready":') && !line.startsWith('{"served":')) return undefined;
  return JSON.parse(line);
}
