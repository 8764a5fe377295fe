// The directory that a build or an import leaves: `manifest.binpb`, and in `chunks/` what the store has not got.
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type ImageManifest, ImageManifestSchema } from "../proto/gen/muster/v1/image_pb.ts";
import { chunkFile, chunkName } from "../proto/image/layout.ts";
import { manifestFault } from "../proto/image/manifest.ts";
import type { PackedImage } from "./pack-image.ts";
import { bytes } from "./progress.ts";
import { exists } from "./stage.ts";

type Facts = Partial<Omit<ImageManifest, "$typeName" | "$unknown">>;

/** Writes the manifest. Throws if it would not be accepted. */
export async function writeManifest(directory: string, packed: PackedImage, facts: Facts): Promise<void> {
  const { counts: _, ...lists } = packed;
  const manifest = create(ImageManifestSchema, { ...facts, ...lists });
  const fault = manifestFault(manifest);
  if (fault)
    throw new Error(`the manifest of ${manifest.name} is wrong: ${fault}; this is a fault of the builder`);
  await writeFile(join(directory, "manifest.binpb"), toBinary(ImageManifestSchema, manifest));
}

/** Such as `1.1 GiB of content, 300 MiB new, 95 MiB stored in 600 chunks`. */
export function summary({ chunks, counts }: PackedImage): string {
  const again = counts.again > 0 ? ` (${bytes(counts.again)} of it stored again)` : "";
  const there = counts.content - counts.fresh;
  const known = there > 0 ? `, ${bytes(there)} deduplicated` : "";
  return (
    `${bytes(counts.content)} of content in ${chunks.length} chunks: ` +
    `${bytes(counts.fresh)} new${again}, ${bytes(counts.stored)} stored${known}`
  );
}

/** Whether each of its chunks is in the directory or in the store. */
export async function isWhole(directory: string, store: string): Promise<boolean> {
  const manifest = await readFile(join(directory, "manifest.binpb")).catch(() => undefined);
  if (!manifest) return false;
  for (const chunk of fromBinary(ImageManifestSchema, manifest).chunks) {
    const file = chunkFile(chunkName(chunk));
    const sizes = await Promise.all([directory, store].map((place) => sizeOf(join(place, file))));
    if (!sizes.includes(chunk.storedBytes)) return false;
  }
  return true;
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    (facts) => facts.size,
    () => -1,
  );
}

/** `aside`: a path for what `to` was, on the same file system. */
export async function replaceDirectory(from: string, to: string, aside: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  if (await exists(to)) await rename(to, aside);
  await rename(from, to);
  await rm(aside, { recursive: true, force: true });
}
