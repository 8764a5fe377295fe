// Every RPC of every port gets random and damaged requests over its real socket. None may crash the daemon, be
// answered INTERNAL or UNKNOWN, or change anything when it is refused. MUSTER_FUZZ says how many of each kind,
// MUSTER_FUZZ_SEED which.
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type DescMethod, type DescService, toBinary } from "@bufbuild/protobuf";
import { type Client, status } from "@grpc/grpc-js";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { manifests } from "../../daemon/domain/plan-fixture.ts";
import { Health } from "../../proto/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../proto/gen/grpc/reflection/v1/reflection_pb.ts";
import { AgentService, EnrollService } from "../../proto/gen/muster/v1/agent_pb.ts";
import {
  ClusterService,
  ListClustersResponseSchema,
  ListDocumentsResponseSchema,
} from "../../proto/gen/muster/v1/cluster_pb.ts";
import { DaemonService } from "../../proto/gen/muster/v1/daemon_pb.ts";
import { DeliveryService } from "../../proto/gen/muster/v1/delivery_pb.ts";
import {
  DeploymentService,
  ListAttemptsResponseSchema,
  ListDeploymentsResponseSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { ImageService, ListImagesResponseSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { ListNodesResponseSchema, NodeService } from "../../proto/gen/muster/v1/node_pb.ts";
import { ListSecretsResponseSchema, SecretService } from "../../proto/gen/muster/v1/secret_pb.ts";
import { ListEventsResponseSchema, WatchService } from "../../proto/gen/muster/v1/watch_pb.ts";
import { startTestDaemon, type TestDaemon } from "../api/daemon.ts";
import { damaged, encoded, noise } from "./arbitrary.ts";
import { openPorts, type Port } from "./ports.ts";
import { type Outcome, rawCall } from "./raw-call.ts";

const numRuns = Number(process.env.MUSTER_FUZZ ?? 5);
const seed = Number(process.env.MUSTER_FUZZ_SEED ?? 1);
const bytesLimit = 8 << 20;
const forbidden = [status.INTERNAL, status.UNKNOWN];

const services: [Port, readonly DescService[]][] = [
  [
    "operators",
    [
      NodeService,
      ClusterService,
      DeploymentService,
      ImageService,
      SecretService,
      WatchService,
      DaemonService,
      Health,
      ServerReflection,
    ],
  ],
  ["joining", [EnrollService, Health]],
  ["agents", [AgentService, Health]],
  ["delivery", [DeliveryService]],
];

let daemon: TestDaemon;
let ports: Awaited<ReturnType<typeof openPorts>>;

beforeAll(async () => {
  daemon = await startTestDaemon([], "--reflection");
  const { clusters, deployments } = daemon.muster;
  await clusters.apply({ files: [{ path: "demo.yaml", content: manifests }] });
  const { plan } = await deployments.planCluster({ cluster: "demo" });
  await deployments.startDeployment({ cluster: "demo", planHash: plan?.hash });
  ports = await openPorts(daemon);
}, 60_000);

afterAll(() => daemon[Symbol.asyncDispose]());

describe.each(services)("the port of %s", (port, offered) => {
  const methods = offered.flatMap((service) => service.methods);
  it.each(methods.map((method) => [`${method.parent.name}/${method.name}`, method] as const))(
    "%s withstands anything",
    async (_, method) => {
      for (const requests of [encoded(method.input), damaged(method.input), noise]) {
        const client = ports[port]();
        await survives(client, method, requests).finally(() => client.close());
      }
      const client = ports[port]();
      const large = await rawCall(client, method, new Uint8Array(bytesLimit + 1));
      client.close();
      expect(large).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    },
    20_000 + numRuns * 5_000,
  );
});

async function survives(
  client: Client,
  method: DescMethod,
  requests: fc.Arbitrary<Uint8Array>,
): Promise<void> {
  const property = fc.asyncProperty(requests, async (bytes) => {
    // What the deployment does by itself, such as to try a step again, may fall between two looks, but not every
    // time.
    for (let left = 3; ; left--) {
      const before = await fingerprint();
      const outcome = await rawCall(client, method, bytes);
      expect(forbidden, outcome.message).not.toContain(outcome.code);
      // A session may have told something before it said something wrong, and its end is told a moment later.
      if (method === AgentService.method.session) return void (await sleep(100));
      if (outcome.code === status.OK) return void (await sleep(10));
      const after = await fingerprint();
      if (after === before) return;
      if (left === 0) expect(after, said(outcome)).toBe(before);
    }
  });
  await fc.assert(property, { numRuns, seed, endOnFailure: true });
}

const said = ({ code, message }: Outcome) => `changed although refused: ${status[code]} ${message}`;

/** Everything there is, as the lists say it. */
async function fingerprint(): Promise<string> {
  const { nodes, clusters, images, secrets, deployments, watch } = daemon.muster;
  const all = { pageSize: 1000 };
  const lists = [
    toBinary(ListNodesResponseSchema, await nodes.listNodes(all)),
    toBinary(ListClustersResponseSchema, await clusters.listClusters(all)),
    toBinary(ListDocumentsResponseSchema, await clusters.listDocuments(all)),
    toBinary(ListImagesResponseSchema, await images.listImages(all)),
    toBinary(ListSecretsResponseSchema, await secrets.listSecrets(all)),
    toBinary(ListDeploymentsResponseSchema, await deployments.listDeployments(all)),
    toBinary(ListAttemptsResponseSchema, await deployments.listAttempts(all)),
    toBinary(ListEventsResponseSchema, await watch.listEvents(all)),
  ];
  const hash = createHash("sha256");
  for (const list of lists) hash.update(list);
  return hash.digest("hex");
}
