// ImageService. Whatever changes the store is done one at a time, together with what the state says of it.
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
import { formatBytes } from "../../proto/render/bytes.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { forgetFormer, formerDigests, neededImages } from "../domain/image-needs.ts";
import { missingPrograms } from "../domain/missing-programs.ts";
import { usersOf } from "../domain/removal.ts";
import { put, type State } from "../domain/state.ts";
import { ImageQuotaError } from "../drivers/image-error.ts";
import { type ApiContext, byName, checkEtag, notFound, refused } from "./context.ts";
import { damagedStore, invalidImage, overQuota } from "./image-errors.ts";
import type { Mutations } from "./mutations.ts";
import { pageOf } from "./pages.ts";

/** Former contents that an image keeps unless the caller says otherwise. */
const keepDefault = 1;

export function imageService(
  { engine, store, images }: ApiContext,
  mutations: Mutations,
): Handlers<typeof ImageService> {
  const { method } = ImageService;
  return {
    registerImage: (request) =>
      images.exclusively(() =>
        mutations.perform(method.registerImage, request, async () => {
          const { digest, manifest } = await images
            .register(request.directory, { move: request.move })
            .catch((error: unknown) => refuseImage(error, engine.state, images));
          return (decision) => {
            const known = decision.state.images.get(manifest.name);
            if (known?.digest === digest) return { image: known, changed: false };
            const image = describe(digest, manifest, known, decision.nowMs);
            decision.change(put({ case: "image", value: image }));
            const message = `${image.chunkCount} chunks, digest ${digest.slice(0, 12)}`;
            decision.event(Event_Severity.INFO, `image/${image.name}`, "IMAGE_REGISTERED", message);
            return { image: find(decision.state, image.name), changed: true };
          };
        }),
      ),
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
    verifyImage: async ({ name, firstChunk, chunkLimit }) => {
      const range = { first: firstChunk, count: chunkLimit };
      const found = await images.verify(find(engine.state, name).digest, range).catch(invalidImage);
      return { chunksChecked: found.checked, badChunks: found.bad, chunksTotal: found.total };
    },
    repairImage: ({ name, directory, firstChunk, chunkLimit }) =>
      images.exclusively(async () => {
        const range = { first: firstChunk, count: chunkLimit };
        const { digest } = find(engine.state, name);
        const done = await images.repair(digest, directory, range).catch(invalidImage);
        return { chunksRepaired: done.repaired, chunksTotal: done.total };
      }),
    deleteImage: (request) =>
      mutations.decide(method.deleteImage, request, (decision) => {
        const { name, etag } = find(decision.state, request.name);
        checkEtag(request.etag, `image ${name}`, { etag });
        const users = usersOf(decision.state, `image/${name}`);
        if (users.length) {
          const remedy = "change or delete that first, or wait for its end";
          throw refused("IMAGE_IN_USE", `image ${name} is used by ${users.join(", ")}: ${remedy}`);
        }
        decision.change({ delete: `image/${name}` });
        decision.event(Event_Severity.INFO, `image/${name}`, "DELETED", "by the operator");
        return {};
      }),
    collectImages: ({ validateOnly, keep = keepDefault }) =>
      images.exclusively(async () => {
        const needed = validateOnly
          ? neededImages(engine.state, keep)
          : await engine.decide((decision) => forgetFormer(decision, keep));
        const found = await images.survey(needed).catch(damagedStore);
        if (!validateOnly) await images.sweep(found);
        const { manifests, chunks, bytes } = found;
        if (!validateOnly && (manifests.length || chunks)) {
          const message = `${manifests.length} manifests and ${chunks} chunks, ${formatBytes(bytes)}`;
          await engine.decide((decision) =>
            decision.event(Event_Severity.INFO, "images", "IMAGES_COLLECTED", message),
          );
        }
        const storedBytes = found.bytesLeft + (validateOnly ? bytes : 0);
        return {
          manifests,
          chunks,
          bytes: BigInt(bytes),
          storedBytes: BigInt(storedBytes),
          quotaBytes: BigInt(images.quota),
        };
      }),
  };
}

function find(state: State, name: string): Image {
  const image = state.image(name);
  if (!image) throw notFound("image", name);
  return image;
}

async function refuseImage(error: unknown, state: State, images: ApiContext["images"]): Promise<never> {
  if (!(error instanceof ImageQuotaError)) return invalidImage(error);
  const found = await images.survey(neededImages(state, keepDefault)).catch(() => undefined);
  throw overQuota(error, found?.bytes);
}

function describe(digest: string, manifest: ImageManifest, known: Image | undefined, nowMs: number): Image {
  const sum = (sizes: number[]) => BigInt(sizes.reduce((total, size) => total + size, 0));
  return create(ImageSchema, {
    name: manifest.name,
    version: manifest.version,
    kind: manifest.kind,
    digest,
    formerDigests: formerDigests(known, digest),
    buildTime: manifest.buildTime,
    registerTime: timestampFromMs(nowMs),
    sizeBytes: manifest.sizeBytes,
    contentBytes: sum(manifest.extents.map(({ sizeBytes }) => sizeBytes)),
    storedBytes: sum(manifest.chunks.map(({ storedBytes }) => storedBytes)),
    chunkCount: manifest.chunks.length,
    filesystem: manifest.filesystem,
    firmware: manifest.firmware,
    kernelVersion: manifest.kernelVersion,
    rootPartition: manifest.rootPartition,
    missingPrograms: missingPrograms(manifest.packages),
  });
}
