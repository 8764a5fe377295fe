// Which files tasks have fetched from nodes: one record each below `fetched` in the state directory. Its content is
// in the store of files. A record's name is a digest, so that no path on a node means anything here.
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FetchedFile, FetchedFileSchema } from "../../proto/gen/muster/v1/files_pb.ts";
import { namesIn } from "./file-intake.ts";
import { isTemporary, writeFileAtomic } from "./files.ts";

export class FetchedFiles {
  readonly #directory: string;
  readonly #files = new Map<string, FetchedFile>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Reads what there is; `onUnreadable` is told of what cannot be read, which nothing else depends on. */
  static async open(directory: string, onUnreadable: (path: string) => void): Promise<FetchedFiles> {
    const fetched = new FetchedFiles(directory);
    for (const name of await namesIn(directory)) {
      if (isTemporary(name)) continue;
      const path = join(directory, name);
      try {
        const file = fromBinary(FetchedFileSchema, await readFile(path));
        if (recordName(file.name) === name) fetched.#files.set(file.name, file);
        else onUnreadable(path);
      } catch {
        onUnreadable(path);
      }
    }
    return fetched;
  }

  all(): FetchedFile[] {
    return [...this.#files.values()];
  }

  get(name: string): FetchedFile | undefined {
    return this.#files.get(name);
  }

  /** In the place of what was fetched from that path before. */
  async keep(file: FetchedFile): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const path = join(this.#directory, recordName(file.name));
    await writeFileAtomic(path, toBinary(FetchedFileSchema, file), 0o600);
    this.#files.set(file.name, file);
  }
}

function recordName(name: string): string {
  return createHash("sha256").update(name).digest("hex");
}
