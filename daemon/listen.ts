// The daemon's gRPC ports: operators on a unix socket, nodes that want to join by TLS, agents by mutual TLS.
import { chmod, rm } from "node:fs/promises";
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { AgentService, EnrollService } from "../proto/gen/muster/v1/agent_pb.ts";
import { ClusterService } from "../proto/gen/muster/v1/cluster_pb.ts";
import { DeploymentService } from "../proto/gen/muster/v1/deployment_pb.ts";
import { ImageService } from "../proto/gen/muster/v1/image_pb.ts";
import { NodeService } from "../proto/gen/muster/v1/node_pb.ts";
import { WatchService } from "../proto/gen/muster/v1/watch_pb.ts";
import { checkMessage } from "../proto/manifest/check.ts";
import { serve } from "../proto/rpc/server.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { messageLimits } from "../proto/rpc/wire.ts";
import { agentService } from "./api/agents.ts";
import { clusterService } from "./api/clusters.ts";
import type { ApiContext } from "./api/context.ts";
import { deploymentService } from "./api/deployments.ts";
import { enrollService } from "./api/enroll.ts";
import { imageService } from "./api/images.ts";
import { nodeService } from "./api/nodes.ts";
import { watchService } from "./api/watch.ts";
import type { DaemonConfig } from "./config.ts";

export type Listeners = { enrollPort: number; agentPort: number; stop(): Promise<void> };

export async function listen(
  context: ApiContext,
  config: DaemonConfig,
  socketPath: string,
): Promise<Listeners> {
  const { ca, log } = context;
  const options = {
    check: checkRequest,
    onError: (method: string, error: RpcError) => logFailure(log, method, error),
  };
  const channel = { ...messageLimits, "grpc.keepalive_time_ms": 30_000 };
  const [operators, joining, agents] = [new Server(channel), new Server(channel), new Server(channel)];
  // If a port is taken, the servers that listen already would keep a daemon alive that never started.
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(socketPath, { force: true }));
  undo.defer(async () => {
    await Promise.all([operators, joining, agents].map(shutDown));
  });
  serve(operators, NodeService, nodeService(context), options);
  serve(operators, ClusterService, clusterService(context), options);
  serve(operators, DeploymentService, deploymentService(context), options);
  serve(operators, ImageService, imageService(context), options);
  serve(operators, WatchService, watchService(context), options);
  serve(joining, EnrollService, enrollService(context), options);
  serve(agents, AgentService, agentService(context), options);

  const key = { private_key: Buffer.from(ca.serverKey), cert_chain: Buffer.from(ca.serverCert) };
  const caPem = Buffer.from(ca.caPem);
  // The database's lock says that no other daemon has this state directory: the socket is a dead one's.
  await rm(socketPath, { force: true });
  await bind(operators, `unix:${socketPath}`, ServerCredentials.createInsecure());
  await chmod(socketPath, 0o600);
  const tls = ServerCredentials.createSsl(null, [key], false);
  const enrollPort = await bind(joining, `${config.address}:${config.enrollPort}`, tls);
  const mutual = ServerCredentials.createSsl(caPem, [key], true);
  const agentPort = await bind(agents, `${config.address}:${config.agentPort}`, mutual);
  const running = undo.move();
  return { enrollPort, agentPort, stop: () => running.disposeAsync() };
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (!error) resolve(port);
      else reject(new Error(`cannot listen on ${address}: ${remedyOf(error)}`, { cause: error }));
    });
  });
}

/** gRPC has no error codes here, only the system's messages inside its own. */
function remedyOf({ message }: Error): string {
  const remedies: [RegExp, string][] = [
    [
      /EADDRINUSE/,
      "the port is taken; stop what listens there, or choose another --enroll-port or --agent-port",
    ],
    [/EADDRNOTAVAIL/, "this machine has no such address; give one that it has as --address"],
    [/EACCES/, "not allowed; run the daemon as root, or choose a port above 1023"],
    [/EINVAL/, "the path of a socket has at most 107 bytes; choose a shorter --state-dir"],
  ];
  return remedies.find(([sign]) => sign.test(message))?.[1] ?? message;
}

/** Calls that do not end by themselves are cut after a moment. */
function shutDown(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), 1000);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The rules of the proto files, the same for every call. */
function checkRequest(request: Message, schema: DescMessage): void {
  const fields = checkMessage(schema, create(schema, request));
  if (!fields.length) return;
  const message = fields.map(({ field, description }) => `${field} ${description}`).join("; ");
  throw new RpcError(codes.INVALID_ARGUMENT, message, { reason: "INVALID_REQUEST", fields });
}

function logFailure(log: Logger, method: string, error: RpcError): void {
  if (error.code === codes.INTERNAL) log.error({ method, err: error.cause ?? error }, error.message);
  else log.debug({ method, code: error.code }, error.message);
}
