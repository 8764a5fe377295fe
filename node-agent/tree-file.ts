// Brings one file of a tree to its place. Only a file that differs is moved, and a reader never sees half of it.
import { createHash } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";
import { chmod, chown, lstat, open, readFile, rename, rm } from "node:fs/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TreeFile } from "../proto/gen/muster/v1/files_pb.ts";
import type { StepChangeSchema } from "../proto/gen/muster/v1/step_pb.ts";
import { formatBytes } from "../proto/render/bytes.ts";
import type { StepContext } from "./step.ts";
import { diffOf } from "./text-diff.ts";

export type Change = MessageInitShape<typeof StepChangeSchema>;
export type Rights = { mode: number; uid: number; gid: number };
export type Bringing = Pick<StepContext, "run" | "log" | "check" | "files" | "signal">;
/** `tree`: digest of the tree that has it. */
export type WantedTreeFile = { tree: string; file: TreeFile; rights: Rights };

/** Of larger files, only the sizes are told. */
const diffLimit = 256 << 10;

/**
 * `found`: what is at the path now. `aside`: where the new one is written, in the same directory. Says what has
 * changed, or in a check would change; undefined if it is so already.
 */
export async function bringFile(
  path: string,
  found: Stats | undefined,
  wanted: WantedTreeFile,
  aside: string,
  context: Bringing,
): Promise<Change | undefined> {
  const { log, check } = context;
  const { file, rights } = wanted;
  const what = `file ${path}`;
  const before = found?.isFile() ? found : undefined;
  if (before && (await hasContent(path, before, file))) {
    const diff = rightsDiff(before, rights);
    if (!diff) return undefined;
    if (!check) await setRights(path, rights);
    log(`${check ? "would set" : "set"} rights of ${path}: ${diff.trim().replaceAll("\n", ", ")}`);
    return { what, action: "set rights", diff };
  }
  const diff = before
    ? rightsDiff(before, rights) + (await contentDiff(path, before, wanted, context))
    : `${formatBytes(file.sizeBytes)}\n`;
  if (!check) await write(path, wanted, aside, context);
  log(`${check ? "would write" : "wrote"} ${file.sizeBytes} bytes to ${path}`);
  return { what, action: found ? "update" : "create", diff };
}

/** Without following a link; undefined if there is nothing. */
export async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** One line for each that differs. */
export function rightsDiff(found: Stats, { mode, uid, gid }: Rights): string {
  const is = found.mode & 0o7777;
  return [
    is === mode ? "" : `mode ${octal(is)} -> ${octal(mode)}\n`,
    found.uid === uid ? "" : `owner ${found.uid} -> ${uid}\n`,
    found.gid === gid ? "" : `group ${found.gid} -> ${gid}\n`,
  ].join("");
}

async function hasContent(path: string, found: Stats, file: TreeFile): Promise<boolean> {
  if (BigInt(found.size) !== file.sizeBytes) return false;
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece);
  return hash.digest("hex") === file.digest;
}

async function contentDiff(
  path: string,
  found: Stats,
  wanted: WantedTreeFile,
  context: Bringing,
): Promise<string> {
  if (found.size > diffLimit || wanted.file.sizeBytes > diffLimit) {
    return `${formatBytes(found.size)} become ${formatBytes(wanted.file.sizeBytes)}\n`;
  }
  return diffOf(path, await readFile(path), await contentOf(wanted, context), context.run);
}

async function contentOf({ tree, file }: WantedTreeFile, { files, signal }: Bringing): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of files.read(tree, file.digest, signal)) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function write(
  path: string,
  { tree, file, rights }: WantedTreeFile,
  aside: string,
  { files, signal }: Bringing,
): Promise<void> {
  // What an attempt that was cut off has left.
  await rm(aside, { force: true });
  try {
    const handle = await open(aside, "wx", 0o600);
    try {
      for await (const piece of files.read(tree, file.digest, signal)) await handle.writeFile(piece);
      // Changing the owner takes setuid bits away, so the mode comes last.
      await handle.chown(rights.uid, rights.gid);
      await handle.chmod(rights.mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
}

/** Of a file or directory that is no link. */
export async function setRights(path: string, { mode, uid, gid }: Rights): Promise<void> {
  await chown(path, uid, gid);
  await chmod(path, mode);
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
