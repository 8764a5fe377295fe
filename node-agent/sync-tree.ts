// Makes a directory as a tree says. Only what differs is moved. Nothing below the directory is reached through a
// symbolic link: one that stands where the tree has a directory is replaced.

import type { Stats } from "node:fs";
import { lchown, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Tree, TreeEntry } from "../proto/gen/muster/v1/files_pb.ts";
import { type Bringing, bringFile, type Change, rightsDiff, setRights, statOf } from "./tree-file.ts";

/** How many files are brought at once: each waits for the daemon in turn. */
const parallel = 4;
const asideName = ".muster-new-";

export type SyncedTree = {
  /** Digest of the tree. */
  digest: string;
  tree: Tree;
  /** Absolute. */
  target: string;
  uid: number;
  gid: number;
  /** Whether what is not in the tree goes. */
  remove: boolean;
};

type Kinds = { [K in "file" | "link" | "directory"]: Extract<TreeEntry["kind"], { case: K }>["value"] };
type EntryOf<K extends keyof Kinds> = { path: string; mode: number; value: Kinds[K] };

/** What has changed, or in a check would change. `onEntry` is told how many entries are done. */
export async function syncTree(
  synced: SyncedTree,
  context: Bringing,
  onEntry: (done: number, changed: number) => void = () => {},
): Promise<Change[]> {
  const sync = new Sync(synced, context, onEntry);
  return sync.run();
}

class Sync {
  readonly #synced: SyncedTree;
  readonly #context: Bringing;
  readonly #onEntry: (done: number, changed: number) => void;
  readonly #changes: Change[] = [];
  /** Directories that are not there yet, or were something else: nothing is below them. */
  readonly #fresh = new Set<string>();
  #done = 0;

  constructor(synced: SyncedTree, context: Bringing, onEntry: (done: number, changed: number) => void) {
    this.#synced = { ...synced, target: resolve(synced.target) };
    this.#context = context;
    this.#onEntry = onEntry;
  }

  async run(): Promise<Change[]> {
    const { tree, target, remove } = this.#synced;
    if (target === "/") throw new Error("the whole system cannot be synced; name a directory below /");
    await this.#makeTarget();
    for (const { path, mode, kind } of tree.entries) {
      if (kind.case === "directory")
        await this.#entry(() => this.#directory({ path, mode, value: kind.value }));
    }
    const queue = tree.entries.values();
    const worker = async (slot: number) => {
      for (const { path, mode, kind } of queue) {
        if (kind.case === "file")
          await this.#entry(() => this.#file({ path, mode, value: kind.value }, slot));
        if (kind.case === "link")
          await this.#entry(() => this.#link({ path, mode, value: kind.value }, slot));
      }
    };
    await allOrFirst(Array.from({ length: parallel }, (_, slot) => worker(slot)));
    if (remove && !this.#fresh.has("")) await this.#removeOthers("");
    return this.#changes;
  }

  async #entry(work: () => Promise<Change | undefined>): Promise<void> {
    this.#context.signal.throwIfAborted();
    const change = await work();
    if (change) this.#changes.push(change);
    this.#done++;
    this.#onEntry(this.#done, this.#changes.length);
  }

  /** The directory itself may be reached through links: that is how its path was given. */
  async #makeTarget(): Promise<void> {
    const { target } = this.#synced;
    const found = await stat(target).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (found?.isDirectory()) return;
    if (found) throw new Error(`${target} is no directory; remove it, or name another path`);
    this.#fresh.add("");
    if (!this.#context.check) await mkdir(target, { recursive: true });
    this.#changes.push({ what: `directory ${target}`, action: "create" });
  }

  async #directory({ path, mode }: EntryOf<"directory">): Promise<Change | undefined> {
    const place = this.#place(path);
    const rights = { mode, uid: this.#synced.uid, gid: this.#synced.gid };
    const found = await this.#found(path);
    const what = `directory ${place}`;
    const { check } = this.#context;
    if (found?.isDirectory()) {
      const diff = rightsDiff(found, rights);
      if (!diff) return undefined;
      if (!check) await setRights(place, rights);
      return { what, action: "set rights", diff };
    }
    this.#fresh.add(path);
    if (!check) {
      if (found) await rm(place);
      await mkdir(place);
      await setRights(place, rights);
    }
    return { what, action: found ? "replace" : "create" };
  }

  async #file({ path, mode, value }: EntryOf<"file">, slot: number): Promise<Change | undefined> {
    const { digest, uid, gid } = this.#synced;
    const found = await this.#makeWay(path);
    const wanted = { tree: digest, file: value, rights: { mode, uid, gid } };
    return bringFile(this.#place(path), found, wanted, this.#aside(path, slot), this.#context);
  }

  async #link({ path, value }: EntryOf<"link">, slot: number): Promise<Change | undefined> {
    const { uid, gid } = this.#synced;
    const place = this.#place(path);
    const found = await this.#makeWay(path);
    const before = found?.isSymbolicLink() ? await readlink(place) : undefined;
    if (found && before === value && found.uid === uid && found.gid === gid) return undefined;
    if (!this.#context.check) {
      const aside = this.#aside(path, slot);
      await rm(aside, { force: true });
      await symlink(value, aside);
      await lchown(aside, uid, gid);
      await rename(aside, place);
    }
    const diff = before === undefined ? `-> ${value}\n` : `-${before}\n+${value}\n`;
    return { what: `link ${place}`, action: found ? "update" : "create", diff };
  }

  /** What is at the path. A directory there is in the way: it goes if what is not in the tree does. */
  async #makeWay(path: string): Promise<Stats | undefined> {
    const found = await this.#found(path);
    if (!found?.isDirectory()) return found;
    const place = this.#place(path);
    if (!this.#synced.remove) {
      throw new Error(`${place} is a directory, and must be none; remove it, or set \`delete: true\``);
    }
    await this.#remove(place, true);
    return undefined;
  }

  async #removeOthers(below: string): Promise<void> {
    const wanted = new Map(this.#synced.tree.entries.map(({ path, kind }) => [path, kind.case]));
    const walk = async (directory: string): Promise<void> => {
      for (const entry of await readdir(this.#place(directory), { withFileTypes: true })) {
        this.#context.signal.throwIfAborted();
        const path = directory ? `${directory}/${entry.name}` : entry.name;
        if (!wanted.has(path)) await this.#remove(this.#place(path), entry.isDirectory());
        else if (entry.isDirectory() && wanted.get(path) === "directory") await walk(path);
      }
    };
    await walk(below);
  }

  async #remove(place: string, isDirectory: boolean): Promise<void> {
    const mounted = await mountAt(place);
    if (mounted)
      throw new Error(`${mounted} is mounted below ${place}, which would be removed; unmount it first`);
    const { check, log } = this.#context;
    if (!check) await rm(place, { recursive: true, force: true });
    log(`${check ? "would remove" : "removed"} ${place}`);
    this.#changes.push({ what: `${isDirectory ? "directory" : "file"} ${place}`, action: "remove" });
  }

  async #found(path: string): Promise<Stats | undefined> {
    const parent = dirname(path);
    return this.#fresh.has(parent === "." ? "" : parent) ? undefined : statOf(this.#place(path));
  }

  #place(path: string): string {
    return join(this.#synced.target, path);
  }

  #aside(path: string, slot: number): string {
    return join(dirname(this.#place(path)), `${asideName}${slot}`);
  }
}

/** Lets those under way end before it throws, so that nothing is moved after a failure has been told. */
async function allOrFirst(work: Promise<void>[]): Promise<void> {
  const failure = (await Promise.allSettled(work)).find((outcome) => outcome.status === "rejected");
  if (failure) throw failure.reason;
}

/** What is mounted at a path or below it; undefined if nothing is. */
async function mountAt(path: string): Promise<string | undefined> {
  const text = await readFile("/proc/self/mountinfo", "utf8");
  const points = text.split("\n").map((line) => {
    const [, , , , point = ""] = line.split(" ");
    return point.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
  });
  return points.find((point) => point === path || point.startsWith(`${path}/`));
}
