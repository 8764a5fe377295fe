// Fetches a file by BitTorrent, with aria2c. What has come stays in `STATE/downloads` and is gone on from.
import { hash } from "node:crypto";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { DownloadOptions } from "./download.ts";
import { RefusedError } from "./errors.ts";
import { requireTools, runTool } from "./tools.ts";

/** A magnet link, or a torrent file or its address. */
export const isTorrent = (source: string) => /^magnet:/.test(source) || /\.torrent$/.test(source);

/** The path of the torrent's one file. Throws when it has several, and when nobody has it. */
export async function fetchTorrent(source: string, options: DownloadOptions): Promise<string> {
  await requireTools(["aria2c"]);
  const { signal, onProgress } = options;
  const directory = folder(options.directory, source);
  await mkdir(directory, { recursive: true });
  // Ten minutes without a byte: nobody has it.
  const args = [
    `--dir=${directory}`,
    "--seed-time=0",
    "--file-allocation=none",
    "--continue=true",
    "--quiet=true",
  ];
  args.push("--bt-stop-timeout=600", "--follow-torrent=mem", "--console-log-level=error");
  args.push(/^(magnet|https?):/.test(source) ? source : resolve(source));
  const watch = setInterval(() => void received(directory).then((bytes) => onProgress(bytes)), 500);
  try {
    await runTool("aria2c", args, { signal });
  } finally {
    clearInterval(watch);
  }
  const [file, another] = await filesIn(directory);
  if (!file || another) {
    throw new RefusedError(`${source} does not hold one file; fetch it, and import the file that is meant`);
  }
  return file;
}

export async function forgetTorrent(downloads: string, source: string): Promise<void> {
  await rm(folder(downloads, source), { recursive: true, force: true });
}

const folder = (downloads: string, source: string) => join(downloads, hash("sha256", source).slice(0, 32));

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !/\.(aria2|torrent)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** What takes room on the disk: the file has its full size from the start. */
async function received(directory: string): Promise<number> {
  const files = await filesIn(directory).catch(() => []);
  const sizes = await Promise.all(
    files.map((file) =>
      stat(file).then(
        ({ blocks }) => blocks * 512,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
