// Makes an image file an image of a store: the importer's own cutting and packing, without a daemon.
// Arguments: store, name, image file. Prints the manifest's digest.
import { generateKeyPairSync, hash, sign } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { unusedRanges } from "../../imagebuild/ext4.ts";
import { packImage } from "../../imagebuild/pack-image.ts";
import { fileParts } from "../../imagebuild/parts.ts";
import { ImageKind, ImageManifestSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { manifestFile, signatureFile } from "../../proto/image/layout.ts";

const [store = "", name = "", path = "", filesystem = ""] = process.argv.slice(2);
const { signal } = new AbortController();
const unused = filesystem ? await unusedRanges(path, 0, { signal }) : [];
const { size } = statSync(path);
const parts = fileParts(path, unused);
const packed = await packImage({
  name,
  blockBytes: 4096,
  parts,
  size: () => size,
  directory: store,
  store,
  signal,
});
const { counts, ...lists } = packed;
const manifest = create(ImageManifestSchema, {
  name,
  kind: filesystem ? ImageKind.FILESYSTEM : ImageKind.DISK,
  filesystem,
  ...lists,
});
const bytes = toBinary(ImageManifestSchema, manifest);
const digest = hash("sha256", bytes);
mkdirSync(dirname(join(store, manifestFile(digest))), { recursive: true });
writeFileSync(join(store, signatureFile(digest)), sign(null, bytes, privateKey()));
writeFileSync(join(store, manifestFile(digest)), bytes);
process.stdout.write(`${JSON.stringify({ digest, ...counts, chunks: manifest.chunks.length })}\n`);

function privateKey(): string {
  const file = join(store, "key.pem");
  if (!existsSync(file)) {
    mkdirSync(store, { recursive: true });
    const key = generateKeyPairSync("ed25519").privateKey;
    writeFileSync(file, key.export({ format: "pem", type: "pkcs8" }));
  }
  return readFileSync(file, "utf8");
}
