// Directories and single files beside the manifest, as the actions of tasks name them.
import type { Tree, TreeEntry } from "../proto/gen/muster/v1/files_pb.ts";
import type { StepContext } from "./step.ts";

type Place = Pick<StepContext, "inputs" | "files" | "signal">;
export type NamedTree = { digest: string; tree: Tree };

export async function treeOf(source: string, { inputs, files, signal }: Place): Promise<NamedTree> {
  const digest = inputs.sources[source];
  if (digest === undefined) {
    throw new Error(`the plan has no files for ${source}; apply the manifest again and deploy anew`);
  }
  return { digest, tree: await files.tree(digest, signal) };
}

/** Of a source that is a single file. */
export function singleFile(
  source: string,
  { tree }: NamedTree,
): Extract<TreeEntry["kind"], { case: "file" }>["value"] {
  const [entry, ...more] = tree.entries;
  if (entry?.kind.case === "file" && !more.length) return entry.kind.value;
  throw new Error(`${source} is a directory, and must be a file; name the file in the manifest`);
}
