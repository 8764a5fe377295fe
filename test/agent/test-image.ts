// A small signed image with a real file system, and a source for it that can go bad.
import { createCipheriv } from "node:crypto";
import { mkdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type CutImage,
  type CutOptions,
  cutImage,
  Store,
} from "../../node-agent/delivery/testing/cut-image.ts";
import { TestSource } from "../../node-agent/delivery/testing/server.ts";
import type { Runner } from "../../node-agent/runner.ts";
import type { ImageSource } from "../../node-agent/step.ts";

export type TestImage = CutImage & {
  store: Store;
  source: TestSource;
  /** What the daemon says of it: the source over gRPC, and no former images. */
  images: ImageSource;
  /** What the daemon was told of sources. */
  reports: string[];
  /** Digests of images that the node had. */
  formers: string[];
};

/** An ext4 of `sizeBytes` with some megabytes of files that do and do not compress. */
export async function buildTestImage(run: Runner, directory: string, sizeBytes: number): Promise<TestImage> {
  const tree = await makeTree(directory);
  const file = join(directory, "image.ext4");
  await writeFile(file, "");
  await truncate(file, sizeBytes);
  await run(["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", tree, file]);
  return openTestImage(await readFile(file), { filesystem: "ext4" });
}

export async function makeTree(directory: string): Promise<string> {
  const tree = join(directory, "tree");
  await mkdir(join(tree, "etc/muster"), { recursive: true });
  await mkdir(join(tree, "var/lib/deep"), { recursive: true });
  await writeFile(join(tree, "etc/muster/bootstrap"), "");
  await writeFile(join(tree, "var/lib/deep/file"), "from the image\n");
  await writeFile(join(tree, "text"), "the same line again and again\n".repeat(200_000));
  await writeFile(join(tree, "noise"), noise(12 << 20));
  return tree;
}

export async function openTestImage(content: Buffer, options: CutOptions): Promise<TestImage> {
  const store = options.store ?? new Store();
  const image = cutImage(content, { ...options, store });
  const source = await new TestSource([image], store).open();
  const reports: string[] = [];
  const formers: string[] = [];
  const images: ImageSource = {
    locate: async () => ({ sources: [source.grpc()], formerDigests: formers }),
    report: async (_digest, _source, fault) => void reports.push(fault),
  };
  return { ...image, store, source, images, reports, formers };
}

/** Bytes that do not compress, the same in every run. */
function noise(length: number): Buffer {
  return createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(length));
}
