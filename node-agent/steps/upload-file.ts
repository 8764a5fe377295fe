// Writes one file with the content and mode that the manifest gives. A reader never sees half of it.
import { chmod, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Step } from "../step.ts";

export const uploadFile: Step<"uploadFile"> = async ({ path, content, mode }, { log }) => {
  const permissions = Number.parseInt(mode || "0644", 8);
  const wanted = Buffer.from(content);
  const shown = permissions.toString(8).padStart(4, "0");
  if (await isSame(path, wanted, permissions)) {
    log(`${path} has this content and mode ${shown} already`);
    return `${path}: unchanged`;
  }
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.muster-new`;
  try {
    const file = await open(temporary, "w", 0o600);
    try {
      await file.writeFile(wanted);
      await file.sync();
    } finally {
      await file.close();
    }
    await chmod(temporary, permissions);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  log(`wrote ${wanted.length} bytes to ${path}, mode ${shown}`);
  return `${path}: ${wanted.length} bytes, mode ${shown}`;
};

async function isSame(path: string, content: Buffer, permissions: number): Promise<boolean> {
  try {
    const { mode } = await stat(path);
    return (mode & 0o7777) === permissions && content.equals(await readFile(path));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
