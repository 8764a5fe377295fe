// Images on the daemon's disk: signed manifests by their digest, and the chunks that they share by theirs. What
// is in the store was checked when it came in; agents check it again. Reading is ImageFiles'; this is what changes
// the store. `register`, `repair`, `survey` and `sweep` are called within exclusively(), one at a time.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { manifestFile, signatureFile } from "../../proto/image/layout.ts";
import type { ImageReader, SignedManifest } from "../domain/ports.ts";
import type { Progress } from "./bounded.ts";
import { discardChunks, diskFullIf, type IntakeOptions, takeIn } from "./chunk-intake.ts";
import { type BadChunk, chunksOf, findBad, findMissing, type WantedChunk } from "./chunk-store.ts";
import { writeFileAtomic } from "./files.ts";
import { ImageError, ImageQuotaError } from "./image-error.ts";
import { decodeManifest, ImageFiles, readIfThere, sha256 } from "./image-files.ts";
import { removeLeftovers, type Sweep, storedBytes, survey, sweep } from "./image-sweep.ts";

export type RegisteredImage = { digest: string; manifest: ImageManifest; changed: boolean };
/** `total`: of the image; `checked` of them were looked at. */
export type VerifiedImage = { total: number; checked: number; bad: BadChunk[] };
/** `bad`: the names of chunks that are missing or damaged. */
export type InspectedImage = { chunks: number; read: number; bad: string[] };
/** A part of an image's chunks, by their places; `count` 0 is all from `first` on. */
export type ChunkRange = { first: number; count: number };

const whole: ChunkRange = { first: 0, count: 0 };

export class ImageStore implements ImageReader {
  readonly directory: string;
  /** In bytes; 0 is no limit. */
  readonly quota: number;
  readonly #files: ImageFiles;
  readonly #sign: (manifest: Uint8Array) => Uint8Array;
  #turn: Promise<unknown> = Promise.resolve();

  /** `sign`: Ed25519 over a manifest. */
  constructor(directory: string, sign: (manifest: Uint8Array) => Uint8Array, quota = 0) {
    this.directory = directory;
    this.quota = quota;
    this.#files = new ImageFiles(directory);
    this.#sign = sign;
  }

  /**
   * Has no other such work done meanwhile. It lasts until the daemon's state says which images there are:
   * otherwise a sweep could take what has just come in for what nobody needs.
   */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** For a start, before anything else is done with the store. */
  async removeLeftovers(): Promise<void> {
    await removeLeftovers(this.directory);
  }

  /**
   * Takes an image that was built into `directory`. Throws ImageError, and has then kept nothing of it. After a
   * move its chunks are no longer in `directory`.
   */
  async register(directory: string, options: IntakeOptions = {}): Promise<RegisteredImage> {
    const bytes = await readBuiltManifest(directory);
    const digest = sha256(bytes);
    const manifest = decodeManifest(bytes, join(directory, "manifest.binpb"));
    const chunks = chunksOf(manifest);
    const missing = await findMissing(this.directory, chunks);
    await this.#checkQuota(missing, bytes.length);
    const undo = await takeIn(this.directory, missing, directory, options);
    let changed: boolean;
    try {
      changed = await this.#writeSigned(digest, bytes);
    } catch (error) {
      await undo();
      throw diskFullIf(error, this.directory);
    }
    if (options.move) await discardChunks(this.directory, chunks, directory);
    return { digest, manifest, changed };
  }

  signed(digest: string): Promise<SignedManifest | undefined> {
    return this.#files.signed(digest);
  }

  manifest(digest: string): Promise<ImageManifest | undefined> {
    return this.#files.manifest(digest);
  }

  chunkPath(name: string): string {
    return this.#files.chunkPath(name);
  }

  /** Reads the chunks of an image and changes nothing. */
  async verify(digest: string, range = whole, onProgress?: Progress): Promise<VerifiedImage> {
    const all = await this.#chunksOf(digest);
    const chunks = within(all, range);
    const bad = await findBad(this.directory, chunks, onProgress);
    return { total: all.length, checked: chunks.length, bad };
  }

  /** The sizes of all chunks, and the digests of at most `limit` of them, spread over the image. */
  async inspect(digest: string, limit: number): Promise<InspectedImage> {
    const chunks = await this.#chunksOf(digest);
    const wrongSizes = (await findMissing(this.directory, chunks)).map(({ name }) => name);
    const stride = Math.max(1, Math.ceil(chunks.length / limit));
    const read = chunks.filter((_, i) => i % stride === 0);
    const bad = (await findBad(this.directory, read)).map(({ expectedDigest }) => expectedDigest);
    return { chunks: chunks.length, read: read.length, bad: [...new Set([...wrongSizes, ...bad])] };
  }

  /** Replaces missing and damaged chunks with those in `directory`. Returns how many, and of how many. */
  async repair(
    digest: string,
    directory: string,
    range = whole,
  ): Promise<{ total: number; repaired: number }> {
    const all = await this.#chunksOf(digest);
    const chunks = within(all, range);
    const found = await findBad(this.directory, chunks);
    const bad = new Set(found.map(({ expectedDigest }) => expectedDigest));
    const replaced = chunks.filter(({ name }) => bad.has(name));
    await takeIn(this.directory, replaced, directory);
    return { total: all.length, repaired: replaced.length };
  }

  /** Bytes of all that it holds, and what it may hold; 0 is no limit. */
  async usage(): Promise<{ stored: number; quota: number }> {
    return { stored: await storedBytes(this.#files), quota: this.quota };
  }

  /** What nobody needs when these digests of images are needed. Throws ImageError DAMAGED: see image-sweep.ts. */
  survey(needed: ReadonlySet<string>): Promise<Sweep> {
    return survey(this.#files, needed);
  }

  async sweep(found: Sweep): Promise<void> {
    await sweep(this.#files, found);
  }

  async #chunksOf(digest: string): Promise<WantedChunk[]> {
    const manifest = await this.manifest(digest);
    if (!manifest)
      throw new ImageError("NOT_FOUND", `there is no image ${digest} in the store; register it first`);
    return chunksOf(manifest);
  }

  async #checkQuota(missing: WantedChunk[], manifestBytes: number): Promise<void> {
    if (!this.quota || !missing.length) return;
    const { stored, quota } = await this.usage();
    const needed = missing.reduce((sum, chunk) => sum + chunk.storedBytes, manifestBytes);
    if (stored + needed > quota) throw new ImageQuotaError({ needed, stored, quota });
  }

  // The manifest comes last: an image is there when its manifest is.
  async #writeSigned(digest: string, bytes: Uint8Array): Promise<boolean> {
    const stored = await this.signed(digest);
    const signature = this.#sign(bytes);
    if (stored && same(stored.manifest, bytes) && same(stored.signature, signature)) return false;
    const path = join(this.directory, manifestFile(digest));
    const signaturePath = join(this.directory, signatureFile(digest));
    try {
      await mkdir(join(this.directory, "manifests"), { recursive: true });
      await writeFileAtomic(signaturePath, signature);
      await writeFileAtomic(path, bytes);
    } catch (error) {
      // It may have its name already, and its chunks are about to go.
      if (!stored) for (const file of [path, signaturePath]) await rm(file, { force: true });
      throw error;
    }
    this.#files.forget(digest);
    return true;
  }
}

async function readBuiltManifest(directory: string): Promise<Uint8Array> {
  const path = join(directory, "manifest.binpb");
  const bytes = await readIfThere(path);
  if (!bytes) {
    throw new ImageError(
      "NOT_FOUND",
      `${path}: no such file; give the directory that "muster image build" wrote`,
    );
  }
  return bytes;
}

function within<T>(items: T[], { first, count }: ChunkRange): T[] {
  return items.slice(first, count ? first + count : undefined);
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
