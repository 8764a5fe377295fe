// An operator API in this process, on a unix socket: real gRPC, answers from fixtures or from the test.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ClusterService } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { DaemonService } from "../../proto/gen/muster/v1/daemon_pb.ts";
import {
  type Deployment,
  DeploymentService,
  type Progress,
  type Step,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { FileService } from "../../proto/gen/muster/v1/files_pb.ts";
import { ImageService } from "../../proto/gen/muster/v1/image_pb.ts";
import { NodeService } from "../../proto/gen/muster/v1/node_pb.ts";
import { RunService } from "../../proto/gen/muster/v1/run_pb.ts";
import { SecretService } from "../../proto/gen/muster/v1/secret_pb.ts";
import {
  type Resource,
  type WatchResponse,
  WatchResponseSchema,
  WatchService,
} from "../../proto/gen/muster/v1/watch_pb.ts";
import { MessageQueue } from "../../proto/rpc/queue.ts";
import { type Handlers, serve } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { applyResponse, emptyWorld, type World } from "../model.ts";
import { fakeFiles } from "./files.ts";
import * as fixtures from "./fixtures.ts";
import { plan } from "./plan.ts";

export type Overrides = {
  nodes?: Partial<Handlers<typeof NodeService>>;
  clusters?: Partial<Handlers<typeof ClusterService>>;
  deployments?: Partial<Handlers<typeof DeploymentService>>;
  images?: Partial<Handlers<typeof ImageService>>;
  secrets?: Partial<Handlers<typeof SecretService>>;
  files?: Partial<Handlers<typeof FileService>>;
  runs?: Partial<Handlers<typeof RunService>>;
  watch?: Partial<Handlers<typeof WatchService>>;
  daemon?: Partial<Handlers<typeof DaemonService>>;
};

export class FakeOperator implements AsyncDisposable {
  readonly world: World = emptyWorld();
  readonly stateDir: string;
  /** Every request that a mutating verb sent. */
  readonly calls: { method: string; request: unknown }[] = [];
  readonly #server = new Server();
  readonly #watchers = new Set<MessageQueue<WatchResponse>>();
  #revision = 0n;

  private constructor(stateDir: string) {
    this.stateDir = stateDir;
  }

  static async start(overrides: Overrides = {}): Promise<FakeOperator> {
    const fake = new FakeOperator(await mkdtemp(join(tmpdir(), "muster-tui-")));
    fake.#serve(overrides);
    await new Promise<void>((resolve, reject) =>
      fake.#server.bindAsync(`unix:${fake.socket}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      ),
    );
    return fake;
  }

  get socket(): string {
    return join(this.stateDir, "muster.sock");
  }

  /** How many Watch streams are open. */
  get watching(): number {
    return this.#watchers.size;
  }

  /** Fills the world with the fixtures. */
  fill(): this {
    for (const value of fixtures.nodes) this.put({ case: "node", value });
    this.put({ case: "cluster", value: fixtures.cluster });
    this.put({ case: "image", value: fixtures.image });
    this.put({ case: "deployment", value: fixtures.deployment });
    for (const value of fixtures.steps()) this.put({ case: "step", value });
    for (const value of fixtures.events) this.put({ case: "event", value });
    this.progress(fixtures.progress("n1/image", 436n));
    this.progress(fixtures.progress("n2/image", 210n));
    return this;
  }

  put(kind: Resource["kind"]): void {
    this.#send({ case: "put", value: { $typeName: "muster.v1.Resource", kind } }, true);
  }

  progress(value: Progress): void {
    this.#send({ case: "progress", value }, false);
  }

  /** Ends every Watch stream with an error. */
  breakWatches(error: RpcError): void {
    for (const queue of this.#watchers) queue.fail(error);
    this.#watchers.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    await rm(this.stateDir, { recursive: true, force: true });
  }

  #send(change: WatchResponse["change"], revised: boolean): void {
    if (revised) this.#revision++;
    const response = create(WatchResponseSchema, { revision: revised ? this.#revision : 0n, change });
    applyResponse(this.world, response);
    for (const queue of this.#watchers) queue.push(response);
  }

  async *#watch(startRevision: bigint, signal: AbortSignal): AsyncGenerator<WatchResponse> {
    const queue = new MessageQueue<WatchResponse>(10_000);
    if (startRevision === 0n) for (const response of this.#snapshot()) queue.push(response);
    this.#watchers.add(queue);
    signal.addEventListener("abort", () => {
      this.#watchers.delete(queue);
      queue.close();
    });
    yield* queue;
  }

  #snapshot(): WatchResponse[] {
    const revision = this.#revision;
    const kinds: Resource["kind"][] = [
      ...[...this.world.nodes.values()].map((value) => ({ case: "node" as const, value })),
      ...[...this.world.clusters.values()].map((value) => ({ case: "cluster" as const, value })),
      ...[...this.world.images.values()].map((value) => ({ case: "image" as const, value })),
      ...[...this.world.deployments.values()].map((value) => ({ case: "deployment" as const, value })),
      ...[...this.world.steps.values()].map((value) => ({ case: "step" as const, value })),
      ...this.world.events.map((value) => ({ case: "event" as const, value })),
    ];
    const put = (kind: Resource["kind"]) =>
      create(WatchResponseSchema, {
        revision,
        change: { case: "put", value: { $typeName: "muster.v1.Resource", kind } },
      });
    return [
      ...kinds.map(put),
      create(WatchResponseSchema, { revision, change: { case: "snapshotEnd", value: {} } }),
      ...[...this.world.progress.values()].map((value) =>
        create(WatchResponseSchema, { change: { case: "progress", value } }),
      ),
    ];
  }

  #find<T>(things: Map<string, T>, kind: string, name: string): T {
    const found = things.get(name);
    if (!found) throw new RpcError(codes.NOT_FOUND, `there is no ${kind} ${name}`);
    return found;
  }

  deployment(name: string): Deployment {
    const cluster = this.world.clusters.get(name);
    const deployment = this.world.deployments.get(cluster?.deployment || name);
    if (!deployment) throw new RpcError(codes.NOT_FOUND, `there is no deployment ${name}`);
    return deployment;
  }

  step(name: string): Step {
    return this.#find(this.world.steps, "step", name);
  }

  #stepsOf(name: string): Step[] {
    const deployment = this.deployment(name).name;
    return [...this.world.steps.values()].filter((step) => step.deployment === deployment);
  }

  #record(method: string, request: unknown): void {
    this.calls.push({ method, request });
  }

  #serve(overrides: Overrides): void {
    const { world } = this;
    serve(this.#server, NodeService, {
      listNodes: async () => ({ nodes: [...world.nodes.values()] }),
      getNode: async ({ name }) => ({ node: this.#find(world.nodes, "node", name) }),
      updateNode: async (request) => {
        this.#record("update", request);
        return { node: this.#find(world.nodes, "node", request.node?.name ?? "") };
      },
      deleteNode: async (request) => {
        this.#record("delete", request);
        return {};
      },
      approveNode: async (request) => {
        this.#record("approve", request);
        return { node: world.nodes.get(request.name) };
      },
      setNodePower: async (request) => {
        this.#record("power", request);
        return { power: request.action === 2 ? 2 : 1 };
      },
      ...overrides.nodes,
    });
    serve(this.#server, ClusterService, {
      apply: async (request) => {
        this.#record("apply", request);
        return { documents: [{ name: "cluster/demo", outcome: 1 }] };
      },
      listClusters: async () => ({ clusters: [...world.clusters.values()] }),
      getCluster: async ({ name }) => ({ cluster: this.#find(world.clusters, "cluster", name) }),
      deleteCluster: async (request) => {
        this.#record("delete", request);
        return {};
      },
      assignNodes: async (request) => {
        this.#record("assign", request);
        return {};
      },
      listDocuments: async () => ({ documents: fixtures.documents }),
      getDocument: async ({ name }) => ({
        document: this.#find(new Map(fixtures.documents.map((d) => [d.name, d])), "document", name),
      }),
      deleteDocument: async (request) => {
        this.#record("delete", request);
        return {};
      },
      ...overrides.clusters,
    });
    serve(this.#server, DeploymentService, this.#deployments(overrides.deployments));
    serve(this.#server, ImageService, {
      registerImage: async () => ({ image: fixtures.image, changed: true }),
      listImages: async () => ({ images: [...world.images.values()] }),
      getImage: async ({ name }) => ({ image: this.#find(world.images, "image", name) }),
      verifyImage: async () => ({ chunksChecked: 712, chunksTotal: 712 }),
      repairImage: async () => ({ chunksRepaired: 0, chunksTotal: 712 }),
      deleteImage: async (request) => {
        this.#record("delete", request);
        return {};
      },
      collectImages: async () => ({}),
      ...overrides.images,
    });
    serve(this.#server, SecretService, {
      setSecret: async (request) => {
        this.#record("set", request);
        return { secret: { ...fixtures.secret, name: request.name }, created: true };
      },
      listSecrets: async () => ({ secrets: [fixtures.secret] }),
      deleteSecret: async (request) => {
        this.#record("delete", request);
        return {};
      },
      ...overrides.secrets,
    });
    serve(this.#server, RunService, { run: async function* () {}, ...overrides.runs });
    serve(this.#server, FileService, { ...fakeFiles, ...overrides.files });
    const watch = (startRevision: bigint, signal: AbortSignal) => this.#watch(startRevision, signal);
    serve(this.#server, WatchService, {
      watch: ({ startRevision }, { signal }) => watch(startRevision, signal),
      tailLog: async function* ({ step, follow }, { signal }) {
        yield { content: Buffer.from(`log of ${step}\nsecond line \u001b[31mred\u001b[0m\n`) };
        for (let line = 3; follow && line < 2000 && !signal.aborted; line++) {
          await new Promise((resolve) => setTimeout(resolve, 200));
          yield { content: Buffer.from(`line ${line} of a log that goes on\n`) };
        }
      },
      listEvents: async () => ({ events: [...world.events].reverse() }),
      ...overrides.watch,
    });
    serve(this.#server, DaemonService, { ...fakeDaemon, ...overrides.daemon });
  }

  #deployments(overrides: Overrides["deployments"]): Handlers<typeof DeploymentService> {
    return {
      planCluster: async ({ cluster }) => {
        this.#find(this.world.clusters, "cluster", cluster);
        return { plan };
      },
      startDeployment: async (request) => {
        this.#record("start", request);
        return { deployment: this.deployment(request.cluster) };
      },
      retryDeployment: async (request) => {
        this.#record("retry", request);
        return { deployment: this.deployment(request.name), steps: 1 };
      },
      resumeDeployment: async (request) => {
        this.#record("resume", request);
        return { deployment: this.deployment(request.name) };
      },
      holdSteps: async (request) => {
        this.#record("hold", request);
        return { steps: ["n1/seed"] };
      },
      continueSteps: async (request) => {
        this.#record("go", request);
        return { steps: ["n1/seed"] };
      },
      waitDeployment: async ({ name }) => ({ deployment: this.deployment(name), done: false }),
      listSteps: async ({ deployment }) => ({ steps: this.#stepsOf(deployment) }),
      listAttempts: async () => ({ attempts: fixtures.attempts }),
      stopDeployment: async (request) => {
        this.#record("stop", request);
        return { deployment: { ...this.deployment(request.name), state: 4 } };
      },
      listDeployments: async () => ({ deployments: [...this.world.deployments.values()] }),
      getDeployment: async ({ name }) => ({
        deployment: this.deployment(name),
        steps: this.#stepsOf(name),
      }),
      ...overrides,
    };
  }
}

const fakeDaemon: Handlers<typeof DaemonService> = {
  getDaemon: async () => ({ version: "0.1.0" }),
  explain: async ({ name }) => {
    if (name !== "demo/n3/image") throw new RpcError(codes.NOT_FOUND, `there is nothing named ${name}`);
    return fixtures.explanation;
  },
  examine: async function* ({ checks }) {
    for (const finding of fixtures.findings) {
      if (!checks.length || checks.includes(finding.check)) yield finding;
    }
  },
  backup: async function* () {
    yield { content: Buffer.from("backup") };
  },
};
