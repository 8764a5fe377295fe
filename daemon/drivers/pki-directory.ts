// The secrets on disk: all made together, at the first start, or none. Losing one of them cuts off nodes, so a
// directory that has only some is never filled up silently.
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errorCode, syncDirectory, temporaryName, writeFileAtomic } from "./files.ts";
import { makeSigningKey } from "./signing-key.ts";

export type PkiFiles = { caKey: string; caPem: string; joinToken: string; imageKey: string };

const fileNames = {
  caKey: "ca.key",
  caPem: "ca.pem",
  joinToken: "join-token",
  imageKey: "image.key",
} as const satisfies Record<keyof PkiFiles, string>;

/** Does nothing if the directory is there. */
export async function createPkiDirectory(
  directory: string,
  makeAuthority: () => Promise<{ caKey: string; caPem: string }>,
): Promise<void> {
  if (await exists(directory)) return;
  const aside = temporaryName(directory);
  await mkdir(aside, { recursive: true, mode: 0o700 });
  try {
    const authority = await makeAuthority();
    await writeFileAtomic(join(aside, fileNames.caKey), authority.caKey, 0o600);
    await writeFileAtomic(join(aside, fileNames.caPem), authority.caPem);
    await writeFileAtomic(
      join(aside, fileNames.joinToken),
      `${randomBytes(32).toString("base64url")}\n`,
      0o600,
    );
    await writeFileAtomic(join(aside, fileNames.imageKey), makeSigningKey(), 0o600);
    await rename(aside, directory);
    await syncDirectory(dirname(directory));
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    throw error;
  }
}

export async function readPkiDirectory(directory: string): Promise<PkiFiles> {
  const missing: string[] = [];
  const read = async (name: string, secret = true): Promise<string> => {
    try {
      const path = join(directory, name);
      const content = await readFile(path, "utf8");
      if (secret) await chmod(path, 0o600);
      return content;
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
      missing.push(name);
      return "";
    }
  };
  const files = {
    caKey: await read(fileNames.caKey),
    caPem: await read(fileNames.caPem, false),
    joinToken: (await read(fileNames.joinToken)).trim(),
    imageKey: await read(fileNames.imageKey),
  };
  if (missing.length === 0) return files;
  throw new Error(
    `${directory} is incomplete: ${missing.join(", ")} missing. Restore the whole directory from a backup; or, if ` +
      "all nodes may be enrolled anew, move it away and a new CA is made at the next start",
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}
