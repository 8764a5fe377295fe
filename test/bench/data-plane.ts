// The daemon's data plane by itself, over a store that the bench has made.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import path from "node:path";
import { createInterface } from "node:readline";
import type { DeliveryOptions } from "../../daemon/delivery/options.ts";
import { parseReport } from "../../daemon/delivery/options.ts";
import { issueTicket } from "../../daemon/delivery/ticket.ts";

const main = path.join(import.meta.dirname, "../../daemon/delivery/main.ts");

export class DataPlane implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #key: Uint8Array;
  readonly grpcPort: number;
  readonly httpPort: number;

  private constructor(process: ChildProcess, key: Uint8Array, ports: { grpcPort: number; httpPort: number }) {
    this.#process = process;
    this.#key = key;
    this.grpcPort = ports.grpcPort;
    this.httpPort = ports.httpPort;
  }

  static async start(directory: string): Promise<DataPlane> {
    const key = randomBytes(32);
    const child = spawn("setpriv", ["--pdeathsig", "KILL", process.execPath, main], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const options: DeliveryOptions = {
      directory,
      address: "127.0.0.1",
      grpcPort: 0,
      httpPort: 0,
      ticketKey: key.toString("base64url"),
      limits: {},
      stallMs: 60_000,
    };
    child.stdin.write(`${JSON.stringify(options)}\n`);
    const ports = await new Promise<{ grpcPort: number; httpPort: number }>((resolve, reject) => {
      child.once("exit", (code) => reject(new Error(`the data plane ended with ${code}`)));
      createInterface({ input: child.stdout }).on("line", (line) => {
        const report = parseReport(line);
        if (report && "ready" in report) resolve(report.ready);
      });
    });
    return new DataPlane(child, key, ports);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  ticket(images: string[]): string {
    return issueTicket(this.#key, { images, node: "bench", rack: "", expiryMs: Date.now() + 3_600_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
  }
}
