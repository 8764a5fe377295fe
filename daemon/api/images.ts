// ImageService.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { imageFields } from "../../proto/filter/fields.ts";
import {
  type Image,
  type ImageManifest,
  ImageSchema,
  ImageService,
} from "../../proto/gen/muster/v1/image_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { put, type State } from "../domain/state.ts";
import { type ApiContext, byName, notFound } from "./context.ts";
import type { Mutations } from "./mutations.ts";
import { pageOf } from "./pages.ts";

export function imageService(
  { engine, store, images }: ApiContext,
  mutations: Mutations,
): Handlers<typeof ImageService> {
  const { method } = ImageService;
  return {
    registerImage: (request) =>
      mutations.perform(method.registerImage, request, async () => {
        const { digest, manifest } = await images.register(request.directory).catch(invalidImage);
        return (decision) => {
          const known = decision.state.images.get(manifest.name);
          if (known?.digest === digest) return { image: known, changed: false };
          const image = describe(digest, manifest, decision.nowMs);
          decision.change(put({ case: "image", value: image }));
          const message = `${image.chunkCount} chunks, digest ${digest.slice(0, 12)}`;
          decision.event(Event_Severity.INFO, `image/${image.name}`, "IMAGE_REGISTERED", message);
          return { image: find(decision.state, image.name), changed: true };
        };
      }),
    listImages: async (request) => {
      const { items, nextPageToken } = await pageOf(request, {
        method: method.listImages,
        schema: ImageSchema,
        fields: imageFields,
        items: byName(engine.state.images.values()),
        key: ({ name }) => name,
      });
      return { images: items, revision: store.revision, nextPageToken };
    },
    getImage: async ({ name }) => ({ image: find(engine.state, name) }),
    verifyImage: async ({ name }) => {
      const { checked, bad } = await images.verify(find(engine.state, name).digest).catch(invalidImage);
      return { chunksChecked: checked, badChunks: bad };
    },
    repairImage: async ({ name, directory }) => {
      const { digest } = find(engine.state, name);
      return { chunksRepaired: await images.repair(digest, directory).catch(invalidImage) };
    },
  };
}

function find(state: State, name: string): Image {
  const image = state.image(name);
  if (!image) throw notFound("image", name);
  return image;
}

/** Whatever the file system says about a directory that the caller named, too. */
function invalidImage(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  throw new RpcError(codes.INVALID_ARGUMENT, message, { reason: "INVALID_IMAGE", cause: error });
}

function describe(digest: string, manifest: ImageManifest, nowMs: number): Image {
  const sum = (size: (chunk: ImageManifest["chunks"][number]) => number) =>
    BigInt(manifest.chunks.reduce((total, chunk) => total + size(chunk), 0));
  return create(ImageSchema, {
    name: manifest.name,
    digest,
    buildTime: manifest.buildTime,
    registerTime: timestampFromMs(nowMs),
    sizeBytes: manifest.sizeBytes,
    contentBytes: sum(({ sizeBytes }) => sizeBytes),
    storedBytes: sum(({ storedBytes }) => storedBytes),
    chunkCount: manifest.chunks.length,
    filesystem: manifest.filesystem,
    firmware: manifest.firmware,
    kernelVersion: manifest.kernelVersion,
  });
}
