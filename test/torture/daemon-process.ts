// The daemon of a torture, from one life to the next: starts it on always the same ports, and knows how it ended.
import type { ChildProcess } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { spawnBound } from "../rack/processes.ts";
import { Api } from "./api.ts";
import type { DaemonOrder } from "./daemon.ts";
import type { Doom } from "./doom.ts";

export type Ports = { http: number; enroll: number; agent: number };

/** How a life ended; `said` is what it has printed. */
export type End = { code: number | null; signal: NodeJS.Signals | null; said: string };

export type Life = {
  api: Api;
  pid: number;
  ended: Promise<End>;
  hasEnded: boolean;
};

const startLimitMs = 30_000;
const lookMs = 20;

export class DaemonProcess implements AsyncDisposable {
  readonly stateDir: string;
  readonly ports: Ports;
  readonly clockFile: string;
  readonly #directory: string;
  #child: ChildProcess | undefined;
  #life: Life | undefined;

  /** `directory`: for its output; the state directory may be full, or gone. */
  constructor(directory: string, stateDir: string, ports: Ports) {
    this.#directory = directory;
    this.stateDir = stateDir;
    this.ports = ports;
    this.clockFile = join(directory, "clock-offset");
  }

  /** The last one. */
  get life(): Life | undefined {
    return this.#life;
  }

  get httpBase(): string {
    return `http://127.0.0.1:${this.ports.http}`;
  }

  get socketPath(): string {
    return join(this.stateDir, "muster.sock");
  }

  /** Resolves when it answers, or when it has ended. `asShipped`: by its own program, which has no doom. */
  async start(how: { doom?: Doom; asShipped?: boolean } = {}): Promise<Life> {
    // Killed a moment ago, it may still hold its lock and its ports.
    await this.#life?.ended;
    const { http, enroll, agent } = this.ports;
    const ports = ["--http-port", http, "--enroll-port", enroll, "--agent-port", agent].map(String);
    const images = ["--delivery-port", "0", "--delivery-http-port", "0"];
    const options = ["--state-dir", this.stateDir, "--address", "127.0.0.1", ...ports, ...images];
    const order: DaemonOrder = { doom: how.doom, clockFile: this.clockFile };
    const program = how.asShipped
      ? [join(import.meta.dirname, "../../daemon/main.ts")]
      : [join(import.meta.dirname, "daemon.ts"), JSON.stringify(order)];
    const logFile = join(this.#directory, "daemon.txt");
    const logStart = sizeOf(logFile);
    const env = { NODE_COMPILE_CACHE: join(this.#directory, "compiled") };
    const argv = [process.execPath, ...program, ...options];
    const child = spawnBound(argv, { deathSignal: "KILL", logFile, env });
    this.#child = child;
    const ended = new Promise<End>((resolve) => {
      child.on("exit", (code, signal) => {
        life.hasEnded = true;
        resolve({ code, signal, said: readFileSync(logFile, "utf8").slice(logStart) });
      });
    });
    this.#life?.api[Symbol.dispose]();
    const life: Life = { api: new Api(this.socketPath), pid: child.pid ?? 0, ended, hasEnded: false };
    this.#life = life;
    const deadline = performance.now() + startLimitMs;
    while (!life.hasEnded && !(await this.#answers())) {
      if (performance.now() > deadline) throw new Error(`the daemon does not answer: see ${logFile}`);
      await delay(lookMs);
    }
    return life;
  }

  /** Kills it as `kill -9` does. */
  kill(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null && this.#child.kill("SIGKILL");
  }

  async #answers(): Promise<boolean> {
    if (!(await accepts(this.socketPath))) return false;
    // A connection of its own: gRPC waits longer and longer before it tries a refused one again.
    using api = new Api(this.socketPath);
    return await api.nodes.listNodes({ pageSize: 1 }, { timeoutMs: 2_000 }).then(
      () => true,
      () => false,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.#life?.ended;
    this.#life?.api[Symbol.dispose]();
  }
}

/** Ports that are free now, below those that the kernel gives out by itself. */
export async function freePorts(firstTry: number): Promise<Ports> {
  const found: number[] = [];
  for (let port = firstTry; found.length < 3; port++) {
    if (port > 32_000) throw new Error(`there are no three free ports from ${firstTry} on`);
    if (await isFree(port)) found.push(port);
  }
  const [http = 0, enroll = 0, agent = 0] = found;
  return { http, enroll, agent };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => {
      const bound = server.address() as AddressInfo;
      server.close(() => resolve(bound.port === port));
    });
  });
}

function accepts(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.on("error", () => resolve(false));
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
