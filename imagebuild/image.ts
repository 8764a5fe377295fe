// Builds an OS image by its recipe: Debian's packages, the agent, an ext4 file system, chunks and a manifest.
import { createHash } from "node:crypto";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ImageKind } from "../proto/gen/muster/v1/image_pb.ts";
import { type RecipeSpec, RecipeSpecSchema } from "../proto/gen/muster/v1/manifest_pb.ts";
import { bundleAgent } from "./agent-bundle.ts";
import { isWhole, replaceDirectory, summary, writeManifest } from "./built-image.ts";
import { blockBytes, makeExt4, unusedRanges } from "./ext4.ts";
import { basePackages, imageHooks, prepareImageTree } from "./image-tree.ts";
import { packImage } from "./pack-image.ts";
import { fileParts } from "./parts.ts";
import { bytes } from "./progress.ts";
import { buildRootfs } from "./rootfs.ts";
import { builderDigest, fileDigest, stageKey, stamp, type Workshop } from "./stage.ts";
import { requireTools, runTool } from "./tools.ts";

/** The directory of the image. */
export async function buildImage(shop: Workshop, recipe: RecipeSpec): Promise<string> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      "an OS image is built as root, since its files belong to root and to system users; use sudo",
    );
  }
  await requireTools(["mmdebstrap", "unshare", "tar", "mke2fs", "dumpe2fs", "apt-config"]);
  const rootfs = await buildRootfs(shop, {
    label: `${recipe.name}-rootfs`,
    suite: recipe.suite,
    packages: [...new Set([...basePackages, recipe.kernel, ...recipe.packages])].sort(),
    hooks: imageHooks,
  });
  const agent = recipe.agent ? await bundleAgent() : undefined;
  const key = stageKey({
    recipe: recipeDigest(recipe),
    rootfs: await stamp(rootfs),
    builder: await builderDigest(),
    agent: agent?.digest ?? "",
    node: agent ? await fileDigest(process.execPath) : "",
  });
  const directory = join(shop.directory, "images", recipe.name);
  if (!shop.fresh && (await readKey(directory)) === key && (await isWhole(directory, shop.store))) {
    shop.progress.reused(recipe.name);
    return directory;
  }
  const half = join(shop.scratch, "image");
  await mkdir(half);
  await assemble(shop, { recipe, rootfs, target: half, ...(agent && { agent: agent.code }) });
  await writeFile(join(half, "key"), key);
  await replaceDirectory(half, directory, join(shop.scratch, "replaced"));
  return directory;
}

type Assembly = { recipe: RecipeSpec; rootfs: string; target: string; agent?: Uint8Array };

async function assemble(shop: Workshop, { recipe, rootfs, target, agent }: Assembly): Promise<void> {
  const { signal } = shop;
  const label = recipe.name;
  const tree = join(shop.scratch, "tree");
  await mkdir(tree);
  const unpack = async () => {
    // The kernel fills /dev of a running system.
    const args = ["-C", tree, "--exclude=./dev/*", "--xattrs", "--xattrs-include=*", "--numeric-owner"];
    await runTool("tar", [...args, "-xpf", rootfs], { signal });
    return prepareImageTree(tree, agent);
  };
  const what = agent ? "files, with the agent" : "files, without an agent";
  const facts = await shop.progress.run(label, what, unpack, ({ packages }) => `${packages.length} packages`);

  const fileTime = Math.floor((await stat(rootfs)).mtimeMs / 1000);
  const path = join(shop.scratch, "root.ext4");
  const format = () => makeExt4({ tree, path, name: recipe.name, time: fileTime }, { signal });
  const ext4 = await shop.progress.run(label, "ext4", format, ({ sizeBytes }) => bytes(sizeBytes));

  const pack = async () => {
    const unused = await unusedRanges(path, 0, { signal });
    return packImage({
      name: label,
      blockBytes,
      parts: fileParts(path, unused),
      size: () => ext4.sizeBytes,
      directory: target,
      store: shop.store,
      signal,
    });
  };
  const packed = await shop.progress.run(label, "chunks", pack, summary);

  const time = buildTimeMs();
  await writeManifest(target, packed, {
    name: recipe.name,
    version: new Date(time).toISOString().slice(0, 10),
    buildTime: timestampFromMs(time),
    kind: ImageKind.FILESYSTEM,
    filesystem: "ext4",
    kernelVersion: facts.kernelVersion,
    firmware: ["bios", "uefi"],
    recipeDigest: recipeDigest(recipe),
    packages: facts.packages,
    filesystemUuid: ext4.uuid,
  });
}

function recipeDigest(recipe: RecipeSpec): string {
  return createHash("sha256").update(toBinary(RecipeSpecSchema, recipe)).digest("hex");
}

/** By the convention for reproducible builds, if the environment says. */
function buildTimeMs(): number {
  const epoch = Number(process.env.SOURCE_DATE_EPOCH);
  return epoch > 0 ? epoch * 1000 : Date.now();
}

async function readKey(directory: string): Promise<string> {
  return readFile(join(directory, "key"), "utf8").catch(() => "");
}
