// `muster backup`: the daemon's whole state as of one moment, in one file that is either whole or not there.
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Operator } from "../client.ts";
import { exitCode, RefusedError } from "../errors.ts";
import { formatBytes } from "../format.ts";
import type { Io } from "../io.ts";

export async function backup(
  { daemon }: Operator,
  io: Io,
  file: string,
  options: { force?: boolean },
): Promise<number> {
  if (!options.force && (await exists(file))) {
    throw new RefusedError(`${file} is there already: name another file, or overwrite it with --force`);
  }
  const partial = `${file}.partial`;
  if (options.force) await rm(partial, { force: true });
  const handle = await create(partial);
  let bytes = 0;
  try {
    for await (const { content } of daemon.backup({}, { signal: io.signal })) {
      await handle.writeFile(content);
      bytes += content.length;
    }
    await handle.sync();
    await handle.close();
    await rename(partial, file);
  } catch (error) {
    await handle.close();
    await rm(partial, { force: true });
    if (io.signal.aborted) return exitCode.interrupted;
    throw error;
  }
  await syncDirectory(dirname(file));
  io.out(`${file} has the whole state, ${formatBytes(bytes)}; \`muster restore\` takes it`);
  io.out("keep it secret: it holds the cluster's keys and secrets; images and logs are not in it");
  return exitCode.ok;
}

/** Only its owner may read it. */
async function create(partial: string): Promise<FileHandle> {
  try {
    return await open(partial, "wx", 0o600);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") {
      throw new RefusedError(
        `${partial} is there: another backup is writing it, or was killed; remove it, or use --force`,
      );
    }
    throw new RefusedError(`cannot write ${partial}: ${error instanceof Error ? error.message : error}`);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
