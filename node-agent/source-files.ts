// The content of files beside the manifest that are read as a whole: templates, scripts, layers.
import { singleFile, treeOf } from "./source-trees.ts";
import type { StepContext } from "./step.ts";

type Place = Pick<StepContext, "inputs" | "files" | "signal">;

/** A template or script that is larger is a mistake. */
const limitBytes = 16 << 20;

/** The single file of a source. */
export async function readSource(source: string, place: Place): Promise<Buffer> {
  const named = await treeOf(source, place);
  return readWhole(named.digest, singleFile(source, named).digest, source, place);
}

/** A file of a directory, by its path below it; undefined if there is none. */
export async function readBelow(source: string, path: string, place: Place): Promise<Buffer | undefined> {
  const { digest, tree } = await treeOf(source, place);
  const wanted = path.replace(/^(\.?\/)+/, "");
  const entry = tree.entries.find((other) => other.path === wanted);
  if (!entry) return undefined;
  if (entry.kind.case !== "file") throw new Error(`${path} in ${source} is no file; name a file`);
  return readWhole(digest, entry.kind.value.digest, `${source}/${wanted}`, place);
}

async function readWhole(tree: string, digest: string, name: string, place: Place): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of place.files.read(tree, digest, place.signal)) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > limitBytes)
      throw new Error(`${name} has more than ${limitBytes >> 20} MiB; use copy_files or sync`);
  }
  return Buffer.concat(pieces);
}
