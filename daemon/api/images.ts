// ImageService.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type ImageManifest, ImageSchema, type ImageService } from "../../proto/gen/muster/v1/image_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { put } from "../domain/state.ts";
import { type ApiContext, byName, notFound } from "./context.ts";

export function imageService({ engine, store, images, clock }: ApiContext): Handlers<typeof ImageService> {
  const find = (name: string) => {
    const image = engine.state.image(name);
    if (!image) throw notFound("image", name);
    return image;
  };
  return {
    registerImage: async ({ directory }) => {
      const { digest, manifest } = await images.register(directory).catch(invalidImage);
      const image = describe(digest, manifest, clock());
      const before = engine.state.images.get(image.name);
      const changed = before?.digest !== digest;
      if (changed) {
        await engine.decide((decision) => {
          decision.change(put({ case: "image", value: image }));
          const message = `${image.chunkCount} chunks, digest ${digest.slice(0, 12)}`;
          decision.event(Event_Severity.INFO, `image/${image.name}`, "IMAGE_REGISTERED", message);
        });
      }
      return { image: find(image.name), changed };
    },
    listImages: async () => ({ images: byName(engine.state.images.values()), revision: store.revision }),
    getImage: async ({ name }) => ({ image: find(name) }),
    verifyImage: async ({ name }) => {
      const { checked, bad } = await images.verify(find(name).digest);
      return { chunksChecked: checked, badChunks: bad };
    },
    repairImage: async ({ name, directory }) => {
      const { digest } = find(name);
      return { chunksRepaired: await images.repair(digest, directory).catch(invalidImage) };
    },
  };
}

function invalidImage(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  throw new RpcError(codes.INVALID_ARGUMENT, message, { reason: "INVALID_IMAGE", cause: error });
}

function describe(digest: string, manifest: ImageManifest, nowMs: number) {
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
