// A data plane in the test's own process: the images that it is given, over gRPC and HTTP, and all that can go wrong.
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import {
  Server as GrpcServer,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
} from "@grpc/grpc-js";
import {
  DeliveryService,
  FetchChunksResponseSchema,
  GetManifestResponseSchema,
  type ImageSource,
  ImageSource_Kind,
  ImageSourceSchema,
} from "../../../proto/gen/muster/v1/delivery_pb.ts";
import { chunkFile, chunkName, manifestFile, signatureFile } from "../../../proto/image/layout.ts";
import { serve } from "../../../proto/rpc/server.ts";
import { codes, RpcError } from "../../../proto/rpc/status.ts";
import { type CutImage, type Store, signImage } from "./cut-image.ts";

export class TestSource implements AsyncDisposable {
  /** Names of the chunks that were sent, in order. */
  readonly sent: string[] = [];
  /** Changes what is sent of the chunk with this name; undefined: it is not there. */
  distort: (name: string, stored: Buffer) => Buffer | undefined = (_, stored) => stored;
  /** Called before every chunk. */
  beforeChunk: (name: string) => Promise<void> | void = () => {};
  /** HTTP: how many answers a connection gives. */
  answersPerConnection = 1000;
  signedAs: (image: CutImage) => ReturnType<typeof signImage> = (image) => signImage(image);
  /** The only one that is taken over gRPC. */
  ticket = "x";
  readonly images: CutImage[];
  readonly #store: Store;
  #grpc: GrpcServer | undefined;
  #http: HttpServer | undefined;
  #grpcPort = 0;
  #httpPort = 0;

  constructor(images: CutImage[], store: Store) {
    this.images = images;
    this.#store = store;
  }

  /** Starts, or starts again on the same ports. */
  async open(): Promise<this> {
    await this.openGrpc();
    await this.openHttp();
    return this;
  }

  async openGrpc(): Promise<void> {
    const checkTicket: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata: (metadata, goOn) => {
              if (metadata.get("muster-ticket")[0] === this.ticket) goOn(metadata);
              else call.sendStatus({ code: codes.UNAUTHENTICATED, details: "the ticket is not taken" });
            },
          }),
      });
    const server = new GrpcServer({ interceptors: [checkTicket] });
    serve(server, DeliveryService, {
      getManifest: async ({ digest }) => {
        const image = this.images.find((one) => one.digest === digest);
        if (!image) throw new RpcError(codes.NOT_FOUND, `no image ${digest}`);
        return create(GetManifestResponseSchema, { manifest: this.signedAs(image) });
      },
      fetchChunks: (request) => this.#chunks(request.digest, request.indexes),
    });
    this.#grpcPort = await new Promise<number>((resolve, reject) =>
      server.bindAsync(`127.0.0.1:${this.#grpcPort}`, ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    );
    this.#grpc = server;
  }

  async *#chunks(digest: string, indexes: number[]) {
    const image = this.images.find((one) => one.digest === digest);
    for (const index of indexes) {
      const chunk = image?.manifest.chunks[index];
      const content = chunk && (await this.#send(chunkName(chunk)));
      if (!content) throw new RpcError(codes.NOT_FOUND, `there is no chunk ${index}`);
      yield create(FetchChunksResponseSchema, { index, content });
    }
  }

  async #send(name: string): Promise<Buffer | undefined> {
    await this.beforeChunk(name);
    const stored = this.#store.stored.get(name);
    this.sent.push(name);
    return stored && this.distort(name, stored);
  }

  async openHttp(): Promise<void> {
    const server = createServer((request, response) => {
      void this.#answer(request.url ?? "").then((content) => {
        if (!content) response.writeHead(404).end();
        else response.writeHead(200, { "content-length": content.length }).end(content);
      });
    });
    server.maxRequestsPerSocket = this.answersPerConnection;
    await new Promise<void>((resolve) => server.listen(this.#httpPort, "127.0.0.1", resolve));
    this.#httpPort = (server.address() as AddressInfo).port;
    this.#http = server;
  }

  async #answer(path: string): Promise<Uint8Array | undefined> {
    for (const image of this.images) {
      const { manifest, signature } = this.signedAs(image);
      if (path === `/t/x/${manifestFile(image.digest)}`) return manifest;
      if (path === `/t/x/${signatureFile(image.digest)}`) return signature;
    }
    const name = path.split("/").at(-1) ?? "";
    return path === `/t/x/${chunkFile(name)}` ? this.#send(name) : undefined;
  }

  grpc(mirror = ""): ImageSource {
    const address = `127.0.0.1:${this.#grpcPort}`;
    return create(ImageSourceSchema, { kind: ImageSource_Kind.GRPC, address, ticket: this.ticket, mirror });
  }

  http(mirror = ""): ImageSource {
    const address = `http://127.0.0.1:${this.#httpPort}/t/x/`;
    return create(ImageSourceSchema, { kind: ImageSource_Kind.HTTP, address, mirror });
  }

  /** As if it were killed. */
  close(): void {
    this.#grpc?.forceShutdown();
    this.#http?.closeAllConnections();
    this.#http?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
