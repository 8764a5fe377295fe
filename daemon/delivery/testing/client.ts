// Calls of DeliveryService as an agent makes them, with nothing in between that could be kind to the server.
import { Client, type ClientReadableStream, credentials, Metadata } from "@grpc/grpc-js";
import {
  DeliveryService,
  type FetchChunksResponse,
  type GetManifestResponse,
} from "../../../proto/gen/muster/v1/delivery_pb.ts";
import { methodDefinition } from "../../../proto/rpc/wire.ts";

const { getManifest, fetchChunks } = DeliveryService.method;

export class DeliveryClient implements Disposable {
  readonly #client: Client;
  readonly #metadata = new Metadata();

  constructor(address: string, ticket: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      "grpc-node.flow_control_window": 4 << 20,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
    });
    if (ticket) this.#metadata.set("muster-ticket", ticket);
  }

  manifest(digest: string): Promise<GetManifestResponse> {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(getManifest);
    const request = { $typeName: "muster.v1.GetManifestRequest" as const, digest };
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        this.#metadata,
        (error, response) => (error ? reject(error) : resolve(response as GetManifestResponse)),
      );
    });
  }

  stream(digest: string, indexes: number[], remainingBytes = 0): ClientReadableStream<FetchChunksResponse> {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(fetchChunks);
    const request = {
      $typeName: "muster.v1.FetchChunksRequest" as const,
      digest,
      indexes,
      remainingBytes: BigInt(remainingBytes),
    };
    return this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      this.#metadata,
    ) as ClientReadableStream<FetchChunksResponse>;
  }

  async chunks(digest: string, indexes: number[], remainingBytes = 0): Promise<FetchChunksResponse[]> {
    return await Array.fromAsync(
      this.stream(digest, indexes, remainingBytes) as AsyncIterable<FetchChunksResponse>,
    );
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
