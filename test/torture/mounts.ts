// File systems of their own for a state directory, so that they can be filled and made read-only. Needs root.
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { run } from "../rack/command.ts";

export class LoopFileSystem implements AsyncDisposable {
  readonly directory: string;
  readonly #parent: string;
  #device = "";
  #isMounted = false;

  /** An ext4 that becomes read-only by its first error, as most servers mount theirs. */
  static async create(sizeMib: number): Promise<LoopFileSystem> {
    if (process.getuid?.() !== 0) throw new Error("this scenario mounts a file system: run it as root");
    const made = new LoopFileSystem(await mkdtemp(join(tmpdir(), "muster-mount-")));
    try {
      await made.#make(sizeMib);
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(parent: string) {
    this.#parent = parent;
    this.directory = join(parent, "fs");
  }

  async #make(sizeMib: number): Promise<void> {
    const file = join(this.#parent, "disk.img");
    await writeFile(file, "");
    await truncate(file, sizeMib << 20);
    await mkdir(this.directory);
    this.#device = (await run(["losetup", "--find", "--show", file])).trim();
    // No blocks are kept for root: full is full.
    await run(["mkfs.ext4", "-q", "-m", "0", "-e", "remount-ro", this.#device]);
    await this.mount();
  }

  async mount(...options: string[]): Promise<void> {
    await run(["mount", "-o", ["defaults", ...options].join(","), this.#device, this.directory]);
    this.#isMounted = true;
  }

  async #unmount(): Promise<void> {
    if (this.#isMounted) await run(["umount", this.directory]);
    this.#isMounted = false;
  }

  /** As after a fault of the disk, with files open for writing. */
  async breakDown(): Promise<void> {
    await writeFile(`/sys/fs/ext4/${basename(this.#device)}/trigger_fs_error`, "1");
    const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
    if (!mounts.some((line) => line.includes(` ${this.directory} `) && /\bro\b|emergency_ro/.test(line)))
      throw new Error(`${this.directory} did not become read-only`);
  }

  /** Unmounts it, and has its errors mended. */
  async repair(): Promise<void> {
    await this.#unmount();
    // 1: errors were corrected.
    await run(["sh", "-c", `e2fsck -fy ${this.#device} || [ $? -eq 1 ]`]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unmount();
    if (this.#device) await run(["losetup", "--detach", this.#device]);
    await rm(this.#parent, { recursive: true, force: true });
  }
}
