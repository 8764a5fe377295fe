// The operator's connection to the daemon: one unix socket, one client per service.
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { ClusterService } from "../proto/gen/muster/v1/cluster_pb.ts";
import { DaemonService } from "../proto/gen/muster/v1/daemon_pb.ts";
import { DeploymentService } from "../proto/gen/muster/v1/deployment_pb.ts";
import { FileService } from "../proto/gen/muster/v1/files_pb.ts";
import { ImageService } from "../proto/gen/muster/v1/image_pb.ts";
import { NodeService } from "../proto/gen/muster/v1/node_pb.ts";
import { RunService } from "../proto/gen/muster/v1/run_pb.ts";
import { SecretService } from "../proto/gen/muster/v1/secret_pb.ts";
import { WatchService } from "../proto/gen/muster/v1/watch_pb.ts";
import { Connection, type ServiceClient } from "../proto/rpc/client.ts";
import { UnreachableError } from "./errors.ts";

export type Operator = {
  nodes: ServiceClient<typeof NodeService>;
  clusters: ServiceClient<typeof ClusterService>;
  deployments: ServiceClient<typeof DeploymentService>;
  images: ServiceClient<typeof ImageService>;
  secrets: ServiceClient<typeof SecretService>;
  files: ServiceClient<typeof FileService>;
  runs: ServiceClient<typeof RunService>;
  watch: ServiceClient<typeof WatchService>;
  daemon: ServiceClient<typeof DaemonService>;
  socket: string;
} & Disposable;

/** Option, then environment, then the default. */
export function socketPath(stateDir: string | undefined, env: NodeJS.ProcessEnv): string {
  return join(resolve(stateDir || env.MUSTER_STATE_DIR || "/var/lib/muster"), "muster.sock");
}

/** Proves that the daemon listens before any call is made, so that its absence is said in one line. */
export async function openOperator(socket: string): Promise<Operator> {
  await probe(socket);
  return createOperator(socket);
}

export function createOperator(socket: string): Operator {
  // The default authority of a unix socket is its escaped path, which HTTP/2 servers may refuse.
  const connection = new Connection(`unix:${socket}`, credentials.createInsecure(), {
    "grpc.default_authority": "muster",
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 2000,
  });
  return {
    nodes: connection.client(NodeService),
    clusters: connection.client(ClusterService),
    deployments: connection.client(DeploymentService),
    images: connection.client(ImageService),
    secrets: connection.client(SecretService),
    files: connection.client(FileService),
    runs: connection.client(RunService),
    watch: connection.client(WatchService),
    daemon: connection.client(DaemonService),
    socket,
    [Symbol.dispose]: () => connection[Symbol.dispose](),
  };
}

function probe(socket: string): Promise<void> {
  return new Promise((done, reject) => {
    const fail = (error: unknown) => reject(new UnreachableError(socket, error));
    const stream = connect(socket, () => {
      stream.destroy();
      done();
    });
    stream.on("error", fail);
  });
}
