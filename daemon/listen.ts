// The daemon's gRPC ports: operators on a unix socket, nodes that want to join by TLS, agents by mutual TLS.
import { chmod, rm } from "node:fs/promises";
import { create, type DescMessage, type DescService, type Message } from "@bufbuild/protobuf";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { Health } from "../proto/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../proto/gen/grpc/reflection/v1/reflection_pb.ts";
import { AgentService, EnrollService } from "../proto/gen/muster/v1/agent_pb.ts";
import { ClusterService } from "../proto/gen/muster/v1/cluster_pb.ts";
import { DaemonService } from "../proto/gen/muster/v1/daemon_pb.ts";
import { DeploymentService } from "../proto/gen/muster/v1/deployment_pb.ts";
import { FileService } from "../proto/gen/muster/v1/files_pb.ts";
import { ImageService } from "../proto/gen/muster/v1/image_pb.ts";
import { NodeService } from "../proto/gen/muster/v1/node_pb.ts";
import { RunService } from "../proto/gen/muster/v1/run_pb.ts";
import { SecretService } from "../proto/gen/muster/v1/secret_pb.ts";
import { WatchService } from "../proto/gen/muster/v1/watch_pb.ts";
import { checkMessage } from "../proto/manifest/check.ts";
import { serve } from "../proto/rpc/server.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { serverMessageLimits } from "../proto/rpc/wire.ts";
import { agentService } from "./api/agents.ts";
import { clusterService } from "./api/clusters.ts";
import type { ApiContext } from "./api/context.ts";
import { daemonService, type Places } from "./api/daemon.ts";
import { deploymentService } from "./api/deployments.ts";
import { enrollService } from "./api/enroll.ts";
import { fileService } from "./api/files.ts";
import { healthService, Readiness } from "./api/health.ts";
import { imageService } from "./api/images.ts";
import { Mutations } from "./api/mutations.ts";
import { nodeService } from "./api/nodes.ts";
import { reflectionService } from "./api/reflection.ts";
import { runService } from "./api/runs.ts";
import { secretService } from "./api/secrets.ts";
import { watchService } from "./api/watch.ts";
import type { DaemonConfig } from "./config.ts";

export type Listeners = {
  enrollPort: number;
  agentPort: number;
  /** The daemon does all that it is for: health says so from now on. */
  ready(httpBase: string): void;
  stop(): Promise<void>;
};

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
  const pinged = { ...serverMessageLimits, "grpc.keepalive_time_ms": 30_000 };
  const [operators, joining] = [new Server(pinged), new Server(pinged)];
  // Agents send heartbeats: pings beside them would only be more work.
  const agents = new Server(serverMessageLimits);
  // If a port is taken, the servers that listen already would keep a daemon alive that never started.
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(socketPath, { force: true }));
  undo.defer(async () => {
    await Promise.all([operators, joining, agents].map(shutDown));
  });
  const { grpcPort, httpPort } = context.delivery;
  const places = {
    socketPath,
    ports: { http: config.httpPort, enroll: 0, agent: 0, delivery: grpcPort, deliveryHttp: httpPort },
  };
  serveOperators(operators, context, config, places, options);
  serve(joining, EnrollService, enrollService(context), options);
  serve(agents, AgentService, agentService({ ...context, admit: context.delivery.admit }), options);
  const readiness = new Readiness();
  serve(operators, Health, healthService(readiness, namesOf(operatorServices)), options);
  serve(joining, Health, healthService(readiness, namesOf([EnrollService])), options);
  serve(agents, Health, healthService(readiness, namesOf([AgentService])), options);
  if (config.reflection) {
    serve(
      operators,
      ServerReflection,
      reflectionService([...operatorServices, Health, ServerReflection]),
      options,
    );
  }

  const key = { private_key: Buffer.from(ca.serverKey), cert_chain: Buffer.from(ca.serverCert) };
  const caPem = Buffer.from(ca.caPem);
  // The database's lock says that no other daemon has this state directory: the socket is a dead one's.
  await rm(socketPath, { force: true });
  await bind(operators, `unix:${socketPath}`, ServerCredentials.createInsecure(), "--state-dir");
  await chmod(socketPath, 0o600);
  const tls = ServerCredentials.createSsl(null, [key], false);
  const enrollPort = await bind(joining, `${config.address}:${config.enrollPort}`, tls, "--enroll-port");
  const mutual = ServerCredentials.createSsl(caPem, [key], true);
  const agentPort = await bind(agents, `${config.address}:${config.agentPort}`, mutual, "--agent-port");
  Object.assign(places.ports, { enroll: enrollPort, agent: agentPort });
  undo.defer(() => {
    readiness.serving = false;
  });
  const running = undo.move();
  const ready = (httpBase: string) => {
    places.ports.http = Number(new URL(httpBase).port);
    readiness.serving = true;
  };
  return { enrollPort, agentPort, ready, stop: () => running.disposeAsync() };
}

const operatorServices = [
  NodeService,
  ClusterService,
  DeploymentService,
  ImageService,
  SecretService,
  FileService,
  RunService,
  WatchService,
  DaemonService,
];

const namesOf = (services: readonly DescService[]) => services.map(({ typeName }) => typeName);

function serveOperators(
  server: Server,
  context: ApiContext,
  config: DaemonConfig,
  places: Places,
  options: Parameters<typeof serve>[3],
): void {
  const mutations = new Mutations(context.engine);
  serve(server, NodeService, nodeService(context, mutations), options);
  serve(server, ClusterService, clusterService(context, mutations), options);
  serve(server, DeploymentService, deploymentService(context, mutations), options);
  serve(server, ImageService, imageService(context, mutations), options);
  serve(server, SecretService, secretService(context, mutations), options);
  serve(server, FileService, fileService(context), options);
  serve(server, RunService, runService(context), options);
  serve(server, WatchService, watchService(context), options);
  serve(server, DaemonService, daemonService(context, config, places), options);
}

/** `option`: which one chooses another port. */
function bind(
  server: Server,
  address: string,
  credentials: ServerCredentials,
  option: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (!error) resolve(port);
      else reject(new Error(`cannot listen on ${address}: ${remedyOf(error, option)}`, { cause: error }));
    });
  });
}

/** gRPC has no error codes here, only the system's messages inside its own. */
function remedyOf({ message }: Error, option: string): string {
  const remedies: [RegExp, string][] = [
    [/EADDRINUSE/, `the port is taken; stop what listens there, or choose another ${option}`],
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
