// Packs what is beside a manifest into a tree: a directory with all that is in it, or a single file.
import { createHash } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";
import { lstat, readdir, readlink, stat } from "node:fs/promises";
import { basename, dirname, join, normalize, relative } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { treeLimitBytes } from "../proto/files/limits.ts";
import { comparePaths, packedTree, treeFault } from "../proto/files/tree.ts";
import { type Tree, type TreeEntrySchema, TreeSchema } from "../proto/gen/muster/v1/files_pb.ts";
import { RefusedError } from "./errors.ts";
import { formatBytes } from "./format.ts";

/** Of the list of a tree's files, which is sent at once. */
const listLimitBytes = 7 << 20;

/** `files`: where each file of the tree is read, by its digest. */
export type Packed = { tree: Tree; digest: string; files: Map<string, string> };
type Entry = MessageInitShape<typeof TreeEntrySchema>;

/**
 * `manifest`: the file that names `source`, in the field at `place`. Undefined if there is nothing of that name.
 * Throws RefusedError.
 */
export async function pack(
  manifest: string,
  source: string,
  kind: "file" | "directory",
  place: string,
): Promise<Packed | undefined> {
  const root = dirname(manifest);
  const path = normalize(join(root, source));
  const refuse = (why: string): never => {
    throw new RefusedError(`${place}: \`${source}\` ${why}`);
  };
  if (source.startsWith("/") || relative(root, path).split("/")[0] === "..") {
    refuse("is not below the manifest's directory: a task brings only what lies beside its manifest");
  }
  const found = await statOf(path);
  if (!found) return undefined;
  const packing = new Packing(refuse);
  if (found.isDirectory()) {
    if (kind === "file") refuse("is a directory, and the task needs a file");
    await packing.addDirectory(path, "");
  } else {
    if (kind === "directory") refuse("is no directory");
    if (!found.isFile()) refuse("is no file");
    await packing.addFile(path, basename(path), found);
  }
  return packing.done();
}

class Packing {
  readonly #entries: Entry[] = [];
  readonly #files = new Map<string, string>();
  readonly #refuse: (why: string) => never;
  #bytes = 0;

  constructor(refuse: (why: string) => never) {
    this.#refuse = refuse;
  }

  async addDirectory(directory: string, below: string): Promise<void> {
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      const as = below ? `${below}/${name}` : name;
      const found = await lstat(path);
      const mode = found.mode & 0o7777;
      if (found.isDirectory()) {
        this.#entries.push({ path: as, mode, kind: { case: "directory", value: {} } });
        await this.addDirectory(path, as);
      } else if (found.isSymbolicLink()) {
        // A link's own mode says nothing, and differs between systems.
        this.#entries.push({ path: as, mode: 0o777, kind: { case: "link", value: await readlink(path) } });
      } else if (found.isFile()) await this.addFile(path, as, found);
      else
        this.#refuse(`has ${as}, which is neither a file nor a directory nor a symbolic link: take it away`);
    }
  }

  async addFile(path: string, as: string, { size, mode }: Stats): Promise<void> {
    this.#bytes += size;
    if (this.#bytes > treeLimitBytes) {
      this.#refuse(
        `has more than ${formatBytes(treeLimitBytes)}: what is that large belongs into an image or a package`,
      );
    }
    const hash = createHash("sha256");
    let sizeBytes = 0n;
    for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(piece);
      sizeBytes += BigInt(piece.length);
    }
    const digest = hash.digest("hex");
    this.#files.set(digest, path);
    this.#entries.push({
      path: as,
      mode: mode & 0o7777,
      kind: { case: "file", value: { digest, sizeBytes } },
    });
  }

  done(): Packed {
    this.#entries.sort((a, b) => comparePaths(a.path ?? "", b.path ?? ""));
    const tree = create(TreeSchema, { entries: this.#entries });
    const fault = treeFault(tree);
    if (fault) this.#refuse(`cannot be sent: ${fault}`);
    const { content, digest } = packedTree(tree);
    if (content.length > listLimitBytes) this.#refuse(`has too many files: ${this.#files.size}`);
    return { tree, digest, files: this.#files };
  }
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new RefusedError(`cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}
