// A step's context in which the daemon's files are in memory, for tests of the steps that bring them.
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { comparePaths, packedTree, treeFault } from "../../proto/files/tree.ts";
import { type Tree, type TreeEntry, TreeSchema } from "../../proto/gen/muster/v1/files_pb.ts";
import { StepInputsSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { type TestContext, testContext } from "../step-fixture.ts";

/** Text is a file of mode 0644, null a directory of mode 0755. */
export type Beside = Record<
  string,
  string | Buffer | null | { mode: number; text: string } | { link: string }
>;

export type FilesContext = TestContext & {
  /** Digests of files that were asked for. */
  brought: string[];
  /** What was put to the daemon. */
  sent: Buffer[];
};

export const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");

/** `sources`: what lies beside the manifest, by the name of the source. */
export function filesContext(
  sources: Record<string, Beside> = {},
  given: Parameters<typeof testContext>[0] = {},
): FilesContext {
  const contents = new Map<string, Buffer>();
  const trees = new Map<string, Tree>();
  const digests: Record<string, string> = {};
  for (const [source, beside] of Object.entries(sources)) {
    const tree = treeFrom(beside, contents);
    const { digest } = packedTree(tree);
    trees.set(digest, tree);
    digests[source] = digest;
  }
  const told = { brought: [] as string[], sent: [] as Buffer[] };
  return {
    ...testContext(given),
    ...told,
    inputs: create(StepInputsSchema, { sources: digests }),
    files: {
      tree: async (digest) => trees.get(digest) ?? create(TreeSchema),
      async *read(_tree, digest) {
        told.brought.push(digest);
        yield contents.get(digest) ?? Buffer.from("lost");
      },
      async put(content) {
        const pieces: Uint8Array[] = [];
        for await (const piece of content) pieces.push(piece);
        const whole = Buffer.concat(pieces);
        told.sent.push(whole);
        return { size: whole.length, digest: sha256(whole) };
      },
    },
  };
}

function treeFrom(beside: Beside, contents: Map<string, Buffer>): Tree {
  const entries = Object.entries(beside).map(([path, what]): Omit<TreeEntry, "$typeName"> => {
    if (what === null) {
      return {
        path,
        mode: 0o755,
        kind: { case: "directory", value: { $typeName: "muster.v1.TreeDirectory" } },
      };
    }
    if (typeof what === "object" && "link" in what) {
      return { path, mode: 0o777, kind: { case: "link", value: what.link } };
    }
    const { mode, text } =
      typeof what === "string" || Buffer.isBuffer(what) ? { mode: 0o644, text: what } : what;
    const content = Buffer.from(text);
    const digest = sha256(content);
    contents.set(digest, content);
    const value = { $typeName: "muster.v1.TreeFile" as const, digest, sizeBytes: BigInt(content.length) };
    return { path, mode, kind: { case: "file", value } };
  });
  const tree = create(TreeSchema, { entries: entries.sort((a, b) => comparePaths(a.path, b.path)) });
  const fault = treeFault(tree);
  if (fault) throw new Error(fault);
  return tree;
}
