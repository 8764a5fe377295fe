// For tests: a workshop in a temporary directory, and a store that takes what was made in it.
import { hash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { type ImageManifest, ImageManifestSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { manifestFile, signatureFile } from "../../proto/image/layout.ts";
import type { Stream } from "../content.ts";
import { type ImportRequest, importImage } from "../import.ts";
import { createProgress } from "../progress.ts";
import { exists, withWorkshop } from "../stage.ts";

export type Bench = {
  state: string;
  store: string;
  /** What the import said. */
  said: string[];
  import: (request: Partial<ImportRequest> & { source: string }, extra?: Extra) => Promise<ImageManifest>;
  /** As the daemon takes the last import into its store; the digest. */
  register: () => Promise<string>;
  remove: () => Promise<void>;
};

type Extra = { stdin?: Stream; signal?: AbortSignal };

export async function createBench(): Promise<Bench> {
  const state = await mkdtemp(join(tmpdir(), "import-"));
  const store = join(state, "images");
  const said: string[] = [];
  let directory = "";
  const progress = createProgress((line) => said.push(line), Date.now);
  return {
    state,
    store,
    said,
    async import(request, { stdin = none(), signal = new AbortController().signal } = {}) {
      const meter = { write: () => {}, isTerminal: false, now: Date.now };
      directory = await withWorkshop({ stateDirectory: state, fresh: false, progress, signal }, (shop) =>
        importImage(
          { ...shop, downloads: join(state, "downloads"), stdin, meter },
          { name: "tiny", ...request },
        ),
      );
      return fromBinary(ImageManifestSchema, await readFile(join(directory, "manifest.binpb")));
    },
    async register() {
      const bytes = await readFile(join(directory, "manifest.binpb"));
      const digest = hash("sha256", bytes);
      await mkdir(join(store, "manifests"), { recursive: true });
      await writeFile(join(store, manifestFile(digest)), bytes);
      await writeFile(join(store, signatureFile(digest)), "signature");
      if (await exists(join(directory, "chunks"))) {
        await cp(join(directory, "chunks"), join(store, "chunks"), { recursive: true });
      }
      return digest;
    },
    remove: () => rm(state, { recursive: true, force: true }),
  };
}

async function* none(): AsyncGenerator<Uint8Array> {}
