// Muster from a program: `import { connect } from "muster/client"`. Every call has a deadline, a daemon that is
// not there for a moment is tried again, and a change that is asked for twice is made once.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { ClusterService } from "../gen/muster/v1/cluster_pb.ts";
import { DaemonService } from "../gen/muster/v1/daemon_pb.ts";
import { DeploymentService } from "../gen/muster/v1/deployment_pb.ts";
import { FileService } from "../gen/muster/v1/files_pb.ts";
import { ImageService } from "../gen/muster/v1/image_pb.ts";
import { NodeService } from "../gen/muster/v1/node_pb.ts";
import { RunService } from "../gen/muster/v1/run_pb.ts";
import { SecretService } from "../gen/muster/v1/secret_pb.ts";
import { WatchService } from "../gen/muster/v1/watch_pb.ts";
import { Connection, type ServiceClient } from "../rpc/client.ts";
import { type FollowItem, type FollowOptions, follow } from "./follow.ts";
import { retrying } from "./retry.ts";

export { codes, RpcError } from "../rpc/status.ts";
export type { FollowItem } from "./follow.ts";

/** Where the daemon is: by its socket, or by an address where something forwards to it over TLS. */
export type Where =
  | { socket?: string }
  | {
      /** host:port. */
      address: string;
      /** Files of PEM: the authority that signed the other side's certificate, and one's own. */
      ca: string;
      cert: string;
      key: string;
    };

export type Muster = Disposable & {
  nodes: ServiceClient<typeof NodeService>;
  clusters: ServiceClient<typeof ClusterService>;
  deployments: ServiceClient<typeof DeploymentService>;
  images: ServiceClient<typeof ImageService>;
  secrets: ServiceClient<typeof SecretService>;
  files: ServiceClient<typeof FileService>;
  runs: ServiceClient<typeof RunService>;
  watch: ServiceClient<typeof WatchService>;
  daemon: ServiceClient<typeof DaemonService>;
  /** All that is, and then every change, for as long as the signal lets it; see FollowItem. */
  follow(options?: FollowOptions): AsyncGenerator<FollowItem>;
};

/** The socket is by default that of the state directory in MUSTER_STATE_DIR, else of /var/lib/muster. */
export function connect(where: Where = {}): Muster {
  const connection = open(where);
  const watch = connection.client(WatchService);
  return {
    nodes: retrying(NodeService, connection.client(NodeService)),
    clusters: retrying(ClusterService, connection.client(ClusterService)),
    deployments: retrying(DeploymentService, connection.client(DeploymentService)),
    images: retrying(ImageService, connection.client(ImageService)),
    secrets: retrying(SecretService, connection.client(SecretService)),
    files: retrying(FileService, connection.client(FileService)),
    // What has begun on machines is not begun again by itself.
    runs: connection.client(RunService),
    watch: retrying(WatchService, watch),
    daemon: retrying(DaemonService, connection.client(DaemonService)),
    follow: (options) => follow(watch, options),
    [Symbol.dispose]: () => connection[Symbol.dispose](),
  };
}

/** A daemon that has just been started again is found soon. */
const reconnect = { "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 2000 };

function open(where: Where): Connection {
  if ("address" in where) {
    const [ca, key, cert] = [where.ca, where.key, where.cert].map((path) => readFileSync(path));
    return new Connection(where.address, credentials.createSsl(ca, key, cert), reconnect);
  }
  const socket = where.socket ?? join(process.env.MUSTER_STATE_DIR || "/var/lib/muster", "muster.sock");
  // The default authority of a unix socket is its escaped path, which HTTP/2 servers may refuse.
  return new Connection(`unix:${socket}`, credentials.createInsecure(), {
    ...reconnect,
    "grpc.default_authority": "muster",
  });
}
