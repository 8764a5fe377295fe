// The manifests of an image, and of the images that the target may hold, from whichever source gives them right.
import type { ImageSource } from "../../proto/gen/muster/v1/delivery_pb.ts";
import type { ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { openManifest } from "../../proto/image/manifest.ts";
import { SourceFault } from "./faults.ts";
import { addressOf } from "./fetch-chunks.ts";
import { fetchManifest } from "./open-fetcher.ts";
import { isUsable, Sources, type SourcesOptions } from "./sources.ts";

/** A manifest is asked for as if it were a chunk. */
const manifestIndex = -1;
/** Older ones have little in common with what is on the disk. */
const formerCount = 3;

/** Throws when no source gives a manifest of that digest that is signed with the key. */
export async function openImage(
  digest: string,
  sources: readonly ImageSource[],
  imageKey: string,
  options: SourcesOptions,
): Promise<ImageManifest> {
  const standing = new Sources(sources, options);
  for (;;) {
    const source = await pick(standing, digest);
    try {
      const signed = await fetchManifest(addressOf(source), digest, options.signal);
      return open(signed, digest, imageKey);
    } catch (error) {
      if (!(error instanceof SourceFault)) throw error;
      await standing.failed(source, { ...error.fault, chunk: manifestIndex });
    }
  }
}

async function pick(standing: Sources, digest: string): Promise<ImageSource> {
  try {
    return await standing.pick(standing.isContested(manifestIndex) ? manifestIndex : undefined);
  } catch (error) {
    if (!(error instanceof SourceFault)) throw error;
    throw new Error(
      `image ${digest}: no source gives its manifest: ${error.message}. Look at them, or register the image again, ` +
        "and retry the step.",
    );
  }
}

function open(signed: Parameters<typeof openManifest>[0], digest: string, imageKey: string): ImageManifest {
  try {
    return openManifest(signed, digest, imageKey);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new SourceFault({ kind: "wrong", message });
  }
}

/** Those that can be had, of the same kind as the image: what else a target holds is of no use. */
export async function openFormers(
  digests: readonly string[],
  { kind }: ImageManifest,
  sources: readonly ImageSource[],
  imageKey: string,
  { signal, log }: Pick<SourcesOptions, "signal" | "log">,
): Promise<ImageManifest[]> {
  const formers: ImageManifest[] = [];
  for (const digest of digests.slice(0, formerCount)) {
    for (const source of sources.filter(isUsable)) {
      try {
        const signed = await fetchManifest(addressOf(source), digest, signal);
        formers.push(openManifest(signed, digest, imageKey));
        break;
      } catch (error) {
        signal.throwIfAborted();
        log(`the manifest of former image ${digest}: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  return formers.filter((former) => former.kind === kind);
}
