// The daemon's operator API, as the rack and its tests use it.
import { credentials } from "@grpc/grpc-js";
import { ClusterService } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { DeploymentService } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { ImageService } from "../../proto/gen/muster/v1/image_pb.ts";
import { NodeService } from "../../proto/gen/muster/v1/node_pb.ts";
import { SecretService } from "../../proto/gen/muster/v1/secret_pb.ts";
import { WatchService } from "../../proto/gen/muster/v1/watch_pb.ts";
import { Connection } from "../../proto/rpc/client.ts";
import { operatorSocket } from "./layout.ts";

export class Operator implements Disposable {
  readonly #connection: Connection;
  readonly nodes;
  readonly clusters;
  readonly deployments;
  readonly images;
  readonly secrets;
  readonly watch;

  constructor(stateDir: string) {
    this.#connection = new Connection(`unix:${operatorSocket(stateDir)}`, credentials.createInsecure());
    this.nodes = this.#connection.client(NodeService);
    this.clusters = this.#connection.client(ClusterService);
    this.deployments = this.#connection.client(DeploymentService);
    this.images = this.#connection.client(ImageService);
    this.secrets = this.#connection.client(SecretService);
    this.watch = this.#connection.client(WatchService);
  }

  /** Whether a daemon answers. */
  async answers(): Promise<boolean> {
    try {
      await this.nodes.listNodes({}, { timeoutMs: 2_000 });
      return true;
    } catch {
      return false;
    }
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }
}
