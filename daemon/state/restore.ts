// Puts a backup in the place of a state directory. Everything is built aside, below `restoring`, and only then
// moved; while `restoring` is there no daemon starts, so a restore that was interrupted is never mistaken for a
// state. What was there before is moved to `before-restore-TIME`; nothing of it is deleted.
import { link, mkdir, open, readdir, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { filesDirectory, keptDirectories, readBackup, verifyBackup } from "./backup-file.ts";
import { asStoreError, StoreError } from "./errors.ts";
import { exists, openDatabase, openWitness, restoringName, witnessPath } from "./open.ts";
import { Store } from "./store.ts";
import { witnessedRevision } from "./witness.ts";

/** Far above what could have been decided after the backup. */
const revisionGap = 1_000_000n;

const witnessName = basename(witnessPath("db"));
/** What a backup replaces; images, logs and boot files stay, and files only get more. */
const replaced = [...keptDirectories, "db", witnessName];

export type Restored = { backedUpRevision: bigint; revision: bigint; aside: string | undefined };

export async function restoreBackup(
  file: string,
  stateDir: string,
  { force, nowMs }: { force: boolean; nowMs: number },
): Promise<Restored> {
  const { revision: backedUpRevision } = await verifyBackup(file);
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o711 });
    const found = await readdir(stateDir);
    if (found.length && !force) {
      throw new StoreError(
        "notEmpty",
        `${stateDir} is not empty: name another --state-dir, or use --force, which moves the state that is there aside`,
      );
    }
    const old = [...replaced, restoringName].filter((name) => found.includes(name));
    const stamp = new Date(nowMs).toISOString().replaceAll(/[:.]/g, "-");
    const aside = old.length ? join(stateDir, `before-restore-${stamp}`) : undefined;
    if (aside && found.includes(restoringName)) await moveAside(restoringName, stateDir, aside);

    let revision = backedUpRevision + revisionGap;
    const known = witnessedRevision(join(stateDir, witnessName));
    if (known > backedUpRevision) revision = known + revisionGap;
    await build(file, stateDir, revision);
    for (const name of old) if (aside && name !== restoringName) await moveAside(name, stateDir, aside);
    for (const name of replaced) await move(name, join(stateDir, restoringName), stateDir);
    await addFiles(join(stateDir, restoringName, filesDirectory), join(stateDir, filesDirectory));
    await rmdir(join(stateDir, restoringName));
    await syncDirectory(stateDir);
    return { backedUpRevision, revision, aside };
  } catch (error) {
    throw asStoreError(stateDir, error, "unwritable");
  }
}

/** Makes the whole state below `restoring`, and reads it as a daemon would. */
async function build(file: string, stateDir: string, revision: bigint): Promise<void> {
  const restoring = join(stateDir, restoringName);
  const directory = join(restoring, "db");
  await mkdir(restoring, { mode: 0o700 });
  try {
    for (const name of [...keptDirectories, "db"]) await mkdir(join(restoring, name), { mode: 0o700 });
    // LevelDB locks the file LOCK: shared with the database that is there, it tells whether a daemon runs, without
    // that database, which may be damaged, being opened.
    const lock = join(stateDir, "db", "LOCK");
    if (await exists(lock)) await link(lock, join(directory, "LOCK"));
    await using undo = new AsyncDisposableStack();
    const database = undo.adopt(await openDatabase(directory, stateDir), (opened) => opened.close());
    let batch = database.batch();
    for await (const part of readBackup(file)) {
      if (part.case === "file") await writeKept(restoring, part.value);
      if (part.case !== "record") continue;
      batch.put(part.value.key, part.value.value);
      if (batch.length < 1000) continue;
      await batch.write({ sync: true });
      batch = database.batch();
    }
    await batch.write({ sync: true });
    const store = undo.use(await Store.open(database, openWitness(directory)));
    await store.beginEpoch(revision);
  } catch (error) {
    await rm(restoring, { recursive: true });
    throw error;
  }
}

async function writeKept(
  restoring: string,
  { path, mode, content }: { path: string; mode: number; content: Uint8Array },
): Promise<void> {
  const [directory = "", name = "", ...more] = path.split("/");
  if (directory === filesDirectory && /^[0-9a-f]{64}$/.test(name) && !more.length) {
    await mkdir(join(restoring, directory), { recursive: true, mode: 0o700 });
    await writeFile(join(restoring, path), content, { mode, flag: "wx", flush: true });
    return;
  }
  if (
    !keptDirectories.includes(directory) ||
    !/^[\w.-]+$/.test(name) ||
    name.startsWith(".") ||
    more.length
  ) {
    throw new StoreError("badBackup", `the backup has a file ${path}, which is not part of a state`);
  }
  await writeFile(join(restoring, path), content, { mode, flag: "wx", flush: true });
  await syncDirectory(join(restoring, directory));
}

/** Beside those that are there: whatever has the same name is the same. */
async function addFiles(from: string, to: string): Promise<void> {
  if (!(await exists(from))) return;
  for (const digest of await readdir(from)) {
    const directory = join(to, digest.slice(0, 2));
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await move(digest, from, directory);
  }
  await rmdir(from);
}

async function moveAside(name: string, stateDir: string, aside: string): Promise<void> {
  await mkdir(aside, { recursive: true, mode: 0o700 });
  await move(name, stateDir, aside);
}

/** Both directories know of it when it returns, also after a power loss. */
async function move(name: string, from: string, to: string): Promise<void> {
  await rename(join(from, name), join(to, name));
  await syncDirectory(to);
  await syncDirectory(from);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
