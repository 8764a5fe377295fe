// Files and trees by their sha256: `files/AA/DIGEST` below the state directory, AA its first two digits. A tree is
// a file with its binary form. What is there is whole; what has only partly come is in `files/incoming`.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { packedTree, treeFault } from "../../proto/files/tree.ts";
import { type Tree, TreeSchema } from "../../proto/gen/muster/v1/files_pb.ts";
import { mapBounded } from "./bounded.ts";
import { FileError } from "./file-error.ts";
import { FileIntake, namesIn, type Piece } from "./file-intake.ts";
import { errorCode, isTemporary, syncDirectory, writeFileAtomic } from "./files.ts";
import { Serial } from "./serial.ts";

const incoming = "incoming";
const pieceBytes = 256 << 10;
/** What nobody needs is kept so long: it may have come for a manifest that is applied next. */
const keepMs = 24 * 60 * 60_000;
/** Trees that are held in memory, as agents ask for many files of the same one. */
const heldTrees = 32;

export class FileStore {
  readonly directory: string;
  readonly #intake: FileIntake;
  readonly #serial = new Serial();
  readonly #trees = new Map<string, { tree: Tree; files: ReadonlySet<string> }>();
  readonly #clock: () => number;

  constructor(directory: string, clock: () => number) {
    this.directory = directory;
    this.#intake = new FileIntake(join(directory, incoming));
    this.#clock = clock;
  }

  /** Which of these are not there. Those that are stay for another day. */
  async missing(digests: readonly string[]): Promise<string[]> {
    const there = await mapBounded(digests, undefined, (digest) => this.#touch(digest));
    return digests.filter((_, i) => !there[i]);
  }

  /** Which of these trees are not there with all of their files. Those that are stay for another day. */
  async missingTrees(digests: readonly string[]): Promise<string[]> {
    const missing: string[] = [];
    for (const digest of new Set(digests)) {
      const files = await this.#filesIfThere(digest);
      if ((await this.missing([digest, ...files])).length) missing.push(digest);
    }
    return missing;
  }

  /** Adds a piece of a file whose digest is known. Throws GapError and FileError. */
  put(digest: string, offset: bigint, content: Uint8Array, last: boolean): Promise<void> {
    return this.#serial.run(digest, () =>
      sayingFull(async () => {
        if (await this.#touch(digest)) return;
        await this.#intake.add({ name: digest, offset, content });
        if (last) await this.#keep(digest, digest);
      }),
    );
  }

  /** Adds a piece of a file whose digest only its end tells. Throws GapError, and FileError if it is too large. */
  receive(piece: Piece, limit: number): Promise<void> {
    return this.#serial.run(piece.name, () =>
      sayingFull(async () => {
        if (Number(piece.offset) + piece.content.length > limit) {
          await this.#intake.forget(piece.name);
          throw new FileError("TOO_LARGE", `the file has more than ${limit} bytes`);
        }
        await this.#intake.add(piece);
      }),
    );
  }

  /** Keeps what has been received; answers with its size. */
  finish(name: string, digest: string): Promise<number> {
    return this.#serial.run(name, () =>
      sayingFull(async () => {
        // Asked for once more, what was kept then is not in the intake any longer.
        if (!(await this.#intake.size(name)) && (await this.#touch(digest))) return this.size(digest);
        const size = await this.#intake.size(name);
        await this.#keep(name, digest);
        return size;
      }),
    );
  }

  /** Throws FileError. */
  async putTree(tree: Tree): Promise<string> {
    const fault = treeFault(tree);
    if (fault) throw new FileError("INVALID_TREE", fault);
    const files = tree.entries.flatMap(({ kind }) => (kind.case === "file" ? [kind.value.digest] : []));
    const missing = await this.missing([...new Set(files)]);
    if (missing.length) {
      const first = tree.entries.find(({ kind }) => kind.case === "file" && kind.value.digest === missing[0]);
      throw new FileError(
        "FILES_MISSING",
        `${missing.length} files of the tree are not there, such as ${first?.path}: send them first`,
      );
    }
    const { content, digest } = packedTree(tree);
    if (!(await this.#touch(digest))) {
      await sayingFull(async () => {
        await mkdir(join(this.directory, digest.slice(0, 2)), { recursive: true, mode: 0o700 });
        await writeFileAtomic(this.#path(digest), content, 0o600);
      });
    }
    return digest;
  }

  async tree(digest: string): Promise<Tree> {
    return (await this.#held(digest)).tree;
  }

  /** Digests of the files of a tree. Throws FileError. */
  async filesOf(tree: string): Promise<ReadonlySet<string>> {
    return (await this.#held(tree)).files;
  }

  async isInTree(tree: string, digest: string): Promise<boolean> {
    return (await this.#held(tree)).files.has(digest);
  }

  /** Throws FileError if it is not there. */
  async size(digest: string): Promise<number> {
    try {
      return (await stat(this.#path(digest))).size;
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
      throw new FileError("NOT_FOUND", `there is no file ${digest}`, { cause: error });
    }
  }

  /** All of it. Throws FileError if it is not there. */
  async content(digest: string): Promise<Uint8Array> {
    await this.size(digest);
    return readFile(this.#path(digest));
  }

  async *read(digest: string, offset = 0): AsyncGenerator<Uint8Array> {
    if ((await this.size(digest)) <= offset) return;
    const stream = createReadStream(this.#path(digest), { start: offset, highWaterMark: pieceBytes });
    yield* stream as AsyncIterable<Uint8Array>;
  }

  /**
   * Forgets what nobody needs and nobody has asked for since yesterday; says how many files. `trees` and `files`:
   * what is needed, a tree with all that it names. Forgets nothing if one of them cannot be read.
   */
  async collect(trees: Iterable<string>, files: Iterable<string>): Promise<number> {
    const needed = new Set(files);
    for (const digest of trees) {
      needed.add(digest);
      for (const file of await this.#filesIfThere(digest)) needed.add(file);
    }
    const before = this.#clock() - keepMs;
    await this.#intake.sweep(before);
    let collected = 0;
    for (const part of await namesIn(this.directory)) {
      if (part === incoming) continue;
      for (const name of await namesIn(join(this.directory, part))) {
        if (needed.has(name) && !isTemporary(name)) continue;
        const path = join(this.directory, part, name);
        if ((await stat(path)).mtimeMs >= before) continue;
        await rm(path, { force: true });
        this.#trees.delete(name);
        collected++;
      }
    }
    return collected;
  }

  #path(digest: string): string {
    return join(this.directory, digest.slice(0, 2), digest);
  }

  async #touch(digest: string): Promise<boolean> {
    const now = new Date(this.#clock());
    try {
      await utimes(this.#path(digest), now, now);
      return true;
    } catch (error) {
      if (errorCode(error) === "ENOENT") return false;
      throw error;
    }
  }

  async #keep(name: string, digest: string): Promise<void> {
    await this.#intake.check(name, digest);
    const directory = join(this.directory, digest.slice(0, 2));
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await rename(this.#intake.path(name), this.#path(digest));
    await syncDirectory(directory);
    await this.#touch(digest);
  }

  async #filesIfThere(digest: string): Promise<ReadonlySet<string>> {
    try {
      return (await this.#held(digest)).files;
    } catch (error) {
      // A tree that is gone needs nothing; it is said where somebody asks for it.
      if (error instanceof FileError && error.reason === "NOT_FOUND") return new Set();
      throw error;
    }
  }

  async #held(digest: string): Promise<{ tree: Tree; files: ReadonlySet<string> }> {
    const known = this.#trees.get(digest);
    if (known) return known;
    const tree = await this.#readTree(digest);
    const files = new Set(
      tree.entries.flatMap(({ kind }) => (kind.case === "file" ? [kind.value.digest] : [])),
    );
    const [oldest] = this.#trees.keys();
    if (oldest !== undefined && this.#trees.size >= heldTrees) this.#trees.delete(oldest);
    const held = { tree, files };
    this.#trees.set(digest, held);
    return held;
  }

  async #readTree(digest: string): Promise<Tree> {
    const content = await this.content(digest);
    const found = createHash("sha256").update(content).digest("hex");
    if (found === digest) return fromBinary(TreeSchema, content);
    const message = `${this.#path(digest)} is damaged: delete that file, then \`muster apply\` the task again`;
    throw new FileError("TREE_DAMAGED", message);
  }
}

/** A full disk is said as what it is. */
async function sayingFull<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!["ENOSPC", "EDQUOT"].includes(errorCode(error) ?? "")) throw error;
    throw new FileError("DISK_FULL", "the daemon's disk is full: make room in its state directory", {
      cause: error,
    });
  }
}
