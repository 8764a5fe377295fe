// What tasks name beside their manifests: each needs a tree that was sent before.
import type { ManifestSource } from "../../proto/gen/muster/v1/cluster_pb.ts";
import type { DecodedDocument, Fault } from "../../proto/manifest/decode.ts";
import { sourcesOf } from "../../proto/manifest/sources.ts";

export type Given = readonly Pick<ManifestSource, "file" | "source" | "digest">[];

/** Digests of trees by source, as Document.sources has them. Empty for what is no task. */
export function documentSources({ file, manifest }: DecodedDocument, given: Given): Record<string, string> {
  if (manifest.kind.case !== "task") return {};
  const named = new Set(sourcesOf(manifest.kind.value).map(({ source }) => source));
  const own = given.filter((one) => one.file === file && named.has(one.source));
  return Object.fromEntries(own.map(({ source, digest }) => [source, digest]));
}

/** `missing`: digests that the store does not have. */
export function sourceFaults(
  documents: DecodedDocument[],
  given: Given,
  missing: ReadonlySet<string>,
): Fault[] {
  return documents.flatMap((document) => {
    const { file, manifest } = document;
    if (manifest.kind.case !== "task") return [];
    const digests = documentSources(document, given);
    return sourcesOf(manifest.kind.value).flatMap(({ path, source, kind, optional }) => {
      const digest = digests[source];
      if (digest === undefined ? optional : !missing.has(digest)) return [];
      const message =
        digest === undefined
          ? `the ${kind} \`${source}\` did not come with the manifest: apply it with \`muster apply\`, which sends it`
          : `the ${kind} \`${source}\` is not stored as ${digest}: send it again, as \`muster apply\` does`;
      return [{ file, ...document.locate(path), path, message }];
    });
  });
}
