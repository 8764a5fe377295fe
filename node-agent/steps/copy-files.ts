// Puts single files from beside the manifest in their places.
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { groupId, userId } from "../owners.ts";
import { filesDone } from "../place-file.ts";
import { singleFile, treeOf } from "../source-trees.ts";
import type { Step } from "../step.ts";
import { bringFile, type Change, statOf } from "../tree-file.ts";

export const copyFiles: Step<"copyFiles"> = async ({ files }, context) => {
  const { run, progress, check, signal } = context;
  const changes: Change[] = [];
  for (const [index, { source, path, mode, owner, group }] of files.entries()) {
    signal.throwIfAborted();
    progress({
      activity: path,
      currentItems: index,
      totalItems: files.length,
      changedItems: changes.length,
    });
    const named = await treeOf(source, context);
    const rights = {
      mode: Number.parseInt(mode || "0644", 8),
      uid: await userId(owner, run),
      gid: await groupId(group, run),
    };
    const found = await statOf(path);
    if (found?.isDirectory())
      throw new Error(`${path} is a directory, and must be a file; name a file in it`);
    if (!check) await mkdir(dirname(path), { recursive: true });
    const wanted = { tree: named.digest, file: singleFile(source, named), rights };
    const change = await bringFile(path, found, wanted, join(dirname(path), ".muster-new"), context);
    if (change) changes.push(change);
  }
  progress({ currentItems: files.length, changedItems: changes.length });
  return filesDone(
    files.map(({ path }) => path),
    changes,
    check,
  );
};
