// Trees of files: their digest, their binary form, and whether one is as files.proto says.
import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { type Tree, TreeSchema } from "../gen/muster/v1/files_pb.ts";

const nameLimit = 255;
const pathLimit = 4096;
const permissionBits = 0o7777;

/** What is stored of a tree, and the digest that names it: hexadecimal. */
export function packedTree(tree: Tree): { content: Uint8Array; digest: string } {
  const content = toBinary(TreeSchema, tree);
  return { content, digest: createHash("sha256").update(content).digest("hex") };
}

/** In the order that a tree has. */
export function comparePaths(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What is wrong with a tree; undefined if nothing is. Whoever has looked can put it below a directory safely. */
export function treeFault({ entries }: Tree): string | undefined {
  const directories = new Set([""]);
  let before = "";
  for (const { path, mode, kind } of entries) {
    const shown = JSON.stringify(path.slice(0, 200));
    if (!isPlainPath(path)) return `the path ${shown} is not a plain relative path`;
    if (path <= before) return `the path ${shown} is not in order, or comes twice`;
    if (!directories.has(path.slice(0, Math.max(0, path.lastIndexOf("/"))))) {
      return `the path ${shown} is not below a directory of the tree`;
    }
    if (mode > permissionBits) return `the mode of ${shown} has more than permission bits`;
    if (kind.case === "directory") directories.add(path);
    else if (kind.case === "file") {
      if (!/^[0-9a-f]{64}$/.test(kind.value.digest)) return `the digest of ${shown} is no sha256`;
    } else if (kind.case === "link") {
      if (!kind.value || kind.value.includes("\0")) return `the link ${shown} has no target`;
    } else return `${shown} is neither file, link nor directory`;
    before = path;
  }
  return undefined;
}

function isPlainPath(path: string): boolean {
  return (
    Buffer.byteLength(path) <= pathLimit &&
    path
      .split("/")
      .every(
        (name) =>
          name !== "" &&
          name !== "." &&
          name !== ".." &&
          !name.includes("\0") &&
          Buffer.byteLength(name) <= nameLimit,
      )
  );
}
