// Torrents of images: a torrent of the directory `chunks` with the image's chunk files, in the order of its manifest.
// What all nodes share (the info dictionary) is made once and kept in the store, beside its manifest; announce
// address and web seed have the node's own ticket in them.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { manifestFile } from "../../proto/image/layout.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { writeFileAtomic } from "../drivers/files.ts";
import { readIfThere } from "../drivers/image-files.ts";
import { bencode } from "./bencode.ts";
import type { ServedImage, ServedImages } from "./served-images.ts";

/** `info`: bencoded. `hash`: its sha1 in hexadecimal, by which peers know the torrent. */
export type Torrent = { info: Buffer; hash: string };

const pieceBytes = 1 << 20;
const suffix = ".info";

export class Torrents {
  readonly #images: ServedImages;
  readonly #known = new Map<string, Promise<Torrent>>();

  constructor(images: ServedImages) {
    this.#images = images;
  }

  /** Throws NOT_FOUND, or DATA_LOSS IMAGE_DAMAGED if it is not made yet and a chunk is missing. */
  async find(digest: string): Promise<Torrent> {
    const known = this.#known.get(digest) ?? this.#load(digest);
    this.#known.set(digest, known);
    known.catch(() => this.#known.delete(digest));
    return await known;
  }

  async #load(digest: string): Promise<Torrent> {
    const image = await this.#images.find(digest);
    if (!image) throw new RpcError(codes.NOT_FOUND, `there is no image ${digest} in the store`);
    const directory = join(this.#images.files.directory, "torrents");
    const path = join(directory, digest + suffix);
    const kept = await readIfThere(path);
    const info = kept ? Buffer.from(kept) : await this.#make(image);
    if (!kept) {
      await mkdir(directory, { recursive: true });
      await this.#sweep(directory);
      await writeFileAtomic(path, info);
    }
    return { info, hash: createHash("sha1").update(info).digest("hex") };
  }

  async #make(image: ServedImage): Promise<Buffer> {
    const names = [...image.byName.values()];
    const pieces: Buffer[] = [];
    let hash = createHash("sha1");
    let room = pieceBytes;
    for (const chunk of names) {
      let content = await readFile(this.#images.files.chunkPath(chunk.name));
      while (content.length) {
        const part = content.subarray(0, room);
        hash.update(part);
        content = content.subarray(part.length);
        room -= part.length;
        if (room > 0) continue;
        pieces.push(hash.digest());
        hash = createHash("sha1");
        room = pieceBytes;
      }
    }
    if (room < pieceBytes) pieces.push(hash.digest());
    return bencode({
      name: "chunks",
      "piece length": pieceBytes,
      pieces: Buffer.concat(pieces),
      files: names.map(({ name, storedBytes }) => ({ length: storedBytes, path: [name.slice(0, 2), name] })),
    });
  }

  /** Removes those of images that are not in the store any more. */
  async #sweep(directory: string): Promise<void> {
    for (const name of await readdir(directory)) {
      const manifest = join(this.#images.files.directory, manifestFile(name.slice(0, -suffix.length)));
      if (!(await readIfThere(manifest))) await rm(join(directory, name), { force: true });
    }
  }
}

/** `base`: the address of the store's files with the node's ticket, and a slash at the end. */
export function torrentFile({ info }: Torrent, base: string): Buffer {
  // The info dictionary must stay as it is to the byte; the keys before and after it are in order.
  return Buffer.concat([
    Buffer.from("d"),
    bencode("announce"),
    bencode(`${base}announce`),
    bencode("info"),
    info,
    bencode("url-list"),
    bencode(base),
    Buffer.from("e"),
  ]);
}
