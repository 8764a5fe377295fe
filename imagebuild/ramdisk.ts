// Builds the bootstrap ramdisk: `vmlinuz` and one `initrd.img`, in which a small compressed archive (the first
// init, the agent) is followed by one that holds the squashfs of the full system. A change of the agent thus
// costs a second, not a squashfs.
import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, zstdCompressSync } from "node:zlib";
import { bundleAgent } from "./agent-bundle.ts";
import { type CpioEntry, cpioArchive, cpioHeader, cpioTrailer, padding } from "./cpio.ts";
import { bytes } from "./progress.ts";
import { buildRamdiskBase } from "./ramdisk-base.ts";
import { ramdiskHooks, ramdiskPackages, ramdiskSuite } from "./ramdisk-tree.ts";
import { buildRootfs } from "./rootfs.ts";
import { builderDigest, fileDigest, stageKey, stamp, type Workshop } from "./stage.ts";
import { requireTools } from "./tools.ts";

/** What `boot.json` says of the files beside it. */
export type BootFacts = {
  key: string;
  kernelVersion: string;
  agentDigest: string;
  files: Record<"vmlinuz" | "initrd.img", { sizeBytes: number; sha256: string }>;
};

export async function buildRamdisk(
  shop: Workshop,
  bootDirectory: string,
  agentEntry?: string,
): Promise<BootFacts> {
  await requireTools([
    "mmdebstrap",
    "unshare",
    "tar",
    "dpkg-deb",
    "mksquashfs",
    "depmod",
    "modprobe",
    "apt-config",
  ]);
  const agent = await bundleAgent(agentEntry);
  const rootfs = await buildRootfs(shop, {
    label: "ramdisk-rootfs",
    suite: ramdiskSuite,
    packages: ramdiskPackages,
    hooks: ramdiskHooks,
  });
  const base = await buildRamdiskBase(shop, rootfs);
  const key = stageKey({ base: await stamp(base), agent: agent.digest, builder: await builderDigest() });
  const before = await readBootFacts(bootDirectory);
  if (!shop.fresh && before?.key === key && (await isComplete(bootDirectory, before))) {
    shop.progress.reused("ramdisk");
    return before;
  }
  const make = () => assemble(shop, { base, key, agent, bootDirectory });
  return shop.progress.run("ramdisk", "kernel and initrd with the agent", make, (facts) => {
    const { vmlinuz, "initrd.img": initrd } = facts.files;
    return `vmlinuz ${bytes(vmlinuz.sizeBytes)}, initrd.img ${bytes(initrd.sizeBytes)}, agent ${bytes(agent.code.length)}`;
  });
}

type Assembly = {
  base: string;
  key: string;
  agent: { code: Uint8Array; digest: string };
  bootDirectory: string;
};

async function assemble(shop: Workshop, { base, key, agent, bootDirectory }: Assembly): Promise<BootFacts> {
  const vmlinuz = join(shop.scratch, "vmlinuz");
  const initrd = join(shop.scratch, "initrd.img");
  await copyFile(join(base, "vmlinuz"), vmlinuz);
  await writeInitrd(initrd, await firstStage(base, agent.code), join(base, "root.sqfs"), shop.signal);
  const fact = async (path: string) => ({
    sizeBytes: (await stat(path)).size,
    sha256: await fileDigest(path),
  });
  const facts: BootFacts = {
    key,
    kernelVersion: await readFile(join(base, "kernel-version"), "utf8"),
    agentDigest: agent.digest,
    files: { vmlinuz: await fact(vmlinuz), "initrd.img": await fact(initrd) },
  };
  const json = join(shop.scratch, "boot.json");
  await writeFile(json, `${JSON.stringify(facts, null, 2)}\n`);
  await mkdir(bootDirectory, { recursive: true });
  // boot.json goes last: without it, or with another's, the next build makes the files again.
  for (const name of ["vmlinuz", "initrd.img", "boot.json"]) {
    await rename(join(shop.scratch, name), join(bootDirectory, name));
  }
  return facts;
}

/** The archive with which the kernel starts. */
async function firstStage(base: string, agent: Uint8Array): Promise<CpioEntry[]> {
  const own = (name: string) => readFile(join(import.meta.dirname, "ramdisk", name));
  const directories = [
    "bin",
    "dev",
    "etc",
    "lower",
    "modules",
    "muster",
    "proc",
    "root",
    "run",
    "sys",
    "upper",
  ];
  const modules = await readdir(join(base, "modules"));
  const entries: CpioEntry[] = directories.map((name) => ({ name, kind: "directory" }));
  const program = (name: string, content: Uint8Array): CpioEntry => ({
    name,
    kind: "file",
    executable: true,
    content,
  });
  entries.push(program("init", await own("first-init")));
  entries.push(program("bin/busybox", await readFile(join(base, "busybox"))));
  for (const name of modules.sort()) {
    entries.push({
      name: `modules/${name}`,
      kind: "file",
      content: await readFile(join(base, "modules", name)),
    });
  }
  entries.push(program("muster/init", await own("init")));
  entries.push(program("muster/udhcpc.sh", await own("udhcpc.sh")));
  entries.push({ name: "muster/agent.mjs", kind: "file", content: agent });
  return entries;
}

/** The kernel takes archives one after the other, if each starts at a multiple of four. */
async function writeInitrd(
  path: string,
  first: CpioEntry[],
  squashfs: string,
  signal: AbortSignal,
): Promise<void> {
  const params = { [constants.ZSTD_c_compressionLevel]: 12 };
  const compressed = zstdCompressSync(cpioArchive(first), { params });
  const { size } = await stat(squashfs);
  const header = cpioHeader({ name: "root.sqfs", inode: 1, mode: 0o100644, size });
  async function* archive(): AsyncGenerator<Uint8Array> {
    yield compressed;
    yield padding(compressed.length, 4);
    yield header;
    yield* createReadStream(squashfs, { highWaterMark: 1 << 20 });
    yield padding(size, 4);
    yield cpioTrailer();
  }
  await pipeline(Readable.from(archive()), createWriteStream(path), { signal });
}

async function readBootFacts(directory: string): Promise<BootFacts | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, "boot.json"), "utf8")) as BootFacts;
  } catch {
    return undefined; // not built yet, or damaged: it is built again
  }
}

async function isComplete(directory: string, facts: BootFacts): Promise<boolean> {
  for (const [name, { sha256 }] of Object.entries(facts.files)) {
    const found = await fileDigest(join(directory, name)).catch(() => "");
    if (found !== sha256) return false;
  }
  return true;
}
