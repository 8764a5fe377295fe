// The real daemon as a process, and the operator's side of it.
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { credentials } from "@grpc/grpc-js";
import { ClusterService } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { DeploymentService } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { ImageService } from "../../proto/gen/muster/v1/image_pb.ts";
import { NodeService } from "../../proto/gen/muster/v1/node_pb.ts";
import { RunService } from "../../proto/gen/muster/v1/run_pb.ts";
import { Connection } from "../../proto/rpc/client.ts";
import { Child } from "./children.ts";

const startLimitMs = 120_000;

export type Ports = { http: number; enroll: number; agent: number; delivery?: number };

/** What a running daemon can be asked. Its connection ends with it. */
export class BenchDaemon implements AsyncDisposable {
  readonly process: Child;
  readonly #connection: Connection;
  readonly nodes;
  readonly clusters;
  readonly deployments;
  readonly images;
  readonly runs;

  private constructor(process: Child, connection: Connection) {
    this.process = process;
    this.#connection = connection;
    this.nodes = connection.client(NodeService);
    this.clusters = connection.client(ClusterService);
    this.deployments = connection.client(DeploymentService);
    this.images = connection.client(ImageService);
    this.runs = connection.client(RunService);
  }

  /** Returns when it answers. */
  static async start(stateDir: string, ports: Ports, nodeOptions: string[]): Promise<BenchDaemon> {
    const argv = ["--state-dir", stateDir, "--address", "127.0.0.1", "--http-port", `${ports.http}`];
    argv.push("--enroll-port", `${ports.enroll}`, "--agent-port", `${ports.agent}`);
    argv.push("--delivery-port", `${ports.delivery ?? 0}`, "--delivery-http-port", "0");
    const process = new Child("the daemon", "daemon/main.ts", argv, nodeOptions);
    const deadline = performance.now() + startLimitMs;
    while (true) {
      // A new connection every time: gRPC waits longer and longer before it tries a refused one again.
      const connection = new Connection(
        `unix:${path.join(stateDir, "muster.sock")}`,
        credentials.createInsecure(),
      );
      const daemon = new BenchDaemon(process, connection);
      if (await daemon.#answers()) return daemon;
      connection[Symbol.dispose]();
      if (!process.running || performance.now() > deadline)
        throw new Error(`the daemon does not answer:\n${process.said}`);
      await sleep(20);
    }
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.#connection[Symbol.dispose]();
    await this.process.end(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }

  async #answers(): Promise<boolean> {
    try {
      await this.images.listImages({}, { timeoutMs: 5_000 });
      return true;
    } catch {
      return false;
    }
  }
}

/** What its state directory tells a machine that wants to join. */
export function joinSecrets(stateDir: string): { caPem: string; joinToken: string } {
  const read = (name: string) => readFileSync(path.join(stateDir, "pki", name), "utf8");
  return { caPem: read("ca.pem"), joinToken: read("join-token").trim() };
}

/** Four that are free now. */
export async function freePorts(): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address ? address.port : 0;
  });
  for (const server of servers) server.close();
  return ports;
}
