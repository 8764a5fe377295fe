// Fetches a file by curl, over http, https or tftp. What has come stays in `STATE/downloads` when the connection
// breaks or the import is interrupted, and the next try goes on from there if the server still has the same file.
import { hash } from "node:crypto";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runTool, ToolError } from "./tools.ts";

export type DownloadOptions = {
  /** `STATE/downloads`. */
  directory: string;
  signal: AbortSignal;
  onProgress: (done: number, total?: number) => void;
  /** Before a try that follows a failure, in ms. */
  pauseMs?: number;
};

/** Tries that bring nothing before the download is given up. */
const tries = 5;
/** curl: the server will not send a part. */
const cannotResume = 33;

/** The path of the whole file. Throws an Error that says what came, and that the next import goes on from there. */
export async function download(url: string, options: DownloadOptions): Promise<string> {
  const { directory, signal } = options;
  await mkdir(directory, { recursive: true });
  const path = partialPath(directory, url);
  const watch = setInterval(() => void report(path, options), 200);
  try {
    for (let failures = 0; ; ) {
      const before = await sizeOf(path);
      try {
        await attempt(url, path, signal);
        return path;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ToolError)) throw error;
        const kept = await sizeOf(path);
        failures = kept > before ? 1 : failures + 1;
        if (isFinal(error) || failures >= tries) throw explained(url, await sizeOf(path), error);
        await sleep((options.pauseMs ?? 1000) * failures, undefined, { signal }).catch(() =>
          signal.throwIfAborted(),
        );
      }
    }
  } finally {
    clearInterval(watch);
  }
}

/** Forgets what was fetched from there. */
export async function forget(directory: string, url: string): Promise<void> {
  for (const file of [partialPath(directory, url), headersPath(partialPath(directory, url))]) {
    await rm(file, { force: true });
  }
}

const partialPath = (directory: string, url: string) => join(directory, hash("sha256", url).slice(0, 32));
const headersPath = (path: string) => `${path}.headers`;

async function attempt(url: string, path: string, signal: AbortSignal): Promise<void> {
  const args = ["--fail", "--location", "--silent", "--show-error", "--connect-timeout", "20"];
  // A connection over which nothing comes is as good as broken.
  args.push(
    "--speed-limit",
    "1",
    "--speed-time",
    "30",
    "--proto",
    "=http,https,tftp",
    "--proto-redir",
    "=http,https",
  );
  const resumed = /^https?:/.test(url) ? await resumption(path) : undefined;
  if (resumed === "whole") return;
  if (resumed) args.push("--continue-at", "-", "--header", `If-Range: ${resumed}`);
  // Written afresh by every try: of the last answer, which may be to a part.
  const answer = `${headersPath(path)}.new`;
  await rm(answer, { force: true });
  try {
    await runTool("curl", [...args, "--dump-header", answer, "--output", path, url], { signal });
  } catch (error) {
    // What we have is of another file than the one whose headers came now.
    if (error instanceof ToolError && error.exitCode === cannotResume) await rm(path, { force: true });
    throw error;
  } finally {
    await keepHeaders(answer, headersPath(path));
  }
}

/** The validator to go on with, `whole` if all is there, undefined if it has to begin anew. */
async function resumption(path: string): Promise<string | undefined> {
  const size = await sizeOf(path);
  const headers = await readFile(headersPath(path), "utf8").catch(() => "");
  const { total, validator } = facts(headers);
  if (size > 0 && size === total) return "whole";
  if (size > 0 && validator && (total === undefined || size < total)) return validator;
  await rm(path, { force: true });
  return undefined;
}

/** Of the last answer in curl's record of headers, when that was to a request for the file or a part of it. */
function facts(headers: string): { total?: number; validator?: string } {
  const last =
    headers
      .trim()
      .split(/\r?\n\r?\n/)
      .at(-1) ?? "";
  if (!/^HTTP\/\S+ 20[06]\b/.test(last)) return {};
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.+?)[ \\t]*$`, "im").exec(last)?.[1];
  const range = /\/(\d+)$/.exec(field("content-range") ?? "")?.[1];
  const length = range ?? field("content-length");
  // A weak one vouches for the meaning of the file, not for its bytes.
  const etag = field("etag");
  const validator = etag && !etag.startsWith("W/") ? etag : field("last-modified");
  return { ...(length && { total: Number(length) }), ...(validator && { validator }) };
}

/** Only a good answer tells what the bytes that we have belong to. */
async function keepHeaders(answer: string, path: string): Promise<void> {
  const headers = await readFile(answer, "utf8").catch(() => "");
  if (/^HTTP\/\S+ 20[06]\b/m.test(headers)) await writeFile(path, headers);
  await rm(answer, { force: true });
}

async function report(path: string, { onProgress }: DownloadOptions): Promise<void> {
  const headers = await readFile(`${headersPath(path)}.new`, "utf8").catch(() => "");
  onProgress(await sizeOf(path), facts(headers).total);
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** The server has said no, or the address is wrong, or the disk is full: another try gives the same. */
function isFinal({ exitCode, message }: ToolError): boolean {
  if (exitCode === 22) return /error: 4(?!08|29)\d\d/.test(message);
  return [1, 3, 6, 23, 60, 68, 69].includes(exitCode ?? 0);
}

function explained(url: string, kept: number, error: ToolError): Error {
  const rest = kept > 0 ? `${kept} bytes are kept, the next import goes on from there` : "check the address";
  return new Error(`${url} could not be fetched: ${error.message}; ${rest}`, { cause: error });
}
