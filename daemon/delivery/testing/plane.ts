// The data plane as a real process, beside a store of its own.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { pino } from "pino";
import { type DataPlane, startDataPlane } from "../data-plane.ts";
import type { DeliveryOptions } from "../options.ts";
import { DeliveryClient } from "./client.ts";
import { makeStore } from "./store.ts";

export const ticketKey = Buffer.alloc(32, 7);

export type TestPlane = AsyncDisposable & {
  plane: DataPlane;
  /** Its store. */
  directory: string;
  /** What it, or its watcher, has logged. */
  log: string[];
  client(images: string[], who?: { node?: string; rack?: string }): DeliveryClient;
  /** The address of the store's files for whoever may have these images. */
  base(images: string[]): string;
  pid(): number;
  /** In MiB. */
  memory(): number;
};

export async function startTestPlane(options: Partial<DeliveryOptions> = {}): Promise<TestPlane> {
  await using undo = new AsyncDisposableStack();
  const store = undo.use(await makeStore());
  const log: string[] = [];
  const logger = pino({ level: "debug" }, { write: (line: string) => void log.push(line) });
  const starting = startDataPlane(
    {
      directory: store.directory,
      address: "127.0.0.1",
      grpcPort: 0,
      httpPort: 0,
      ticketKey: ticketKey.toString("base64url"),
      limits: {},
      stallMs: 60_000,
      ...options,
    },
    logger,
  );
  const plane = undo.use(await starting);
  const pid = () => listenerOf(plane.admit({ images: [], node: "", rack: "" }).grpcAddress);
  const all = undo.move();
  return {
    plane,
    directory: store.directory,
    log,
    client: (images, { node = "n1", rack = "r1" } = {}) => {
      const { grpcAddress, ticket } = plane.admit({ images, node, rack });
      return new DeliveryClient(grpcAddress, ticket);
    },
    base: (images) => plane.admit({ images, node: "n1", rack: "r1" }).httpAddress,
    pid,
    memory: () => {
      const status = readFileSync(`/proc/${pid()}/status`, "utf8");
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** The process that listens at `host:port`. */
export function listenerOf(address: string): number {
  const port = address.slice(address.lastIndexOf(":") + 1);
  const said = execFileSync("ss", ["-Hltnp", `sport = :${port}`], { encoding: "utf8" });
  return Number(/pid=(\d+)/.exec(said)?.[1]);
}
