// `muster image push`: puts an image's files on a mirror, a directory or an HTTP server that takes PUT, in the
// order in which nobody ever sees a manifest without its chunks.

import { hash } from "node:crypto";
import { copyFile, mkdir, readFile, rename, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ImageManifest } from "../proto/gen/muster/v1/image_pb.ts";
import { chunkFile, chunkName, manifestFile, signatureFile } from "../proto/image/layout.ts";
import { RefusedError } from "./errors.ts";

/** A place for files. Paths are relative to it, as in a store. */
type Mirror = {
  /** Of the file there; undefined if there is none. */
  size(path: string): Promise<number | undefined>;
  put(path: string, from: string): Promise<void>;
  read(path: string): Promise<Uint8Array>;
};

export type PushOptions = {
  signal: AbortSignal;
  onProgress?: (done: number, total: number) => void;
  /** Reads everything back and compares digests. */
  verify: boolean;
  pauseMs?: number;
};

/** Files and bytes that were put there, and files that were there. */
export type Pushed = { files: number; bytes: number; there: number };

const parallel = 8;
const tries = 4;

/** Throws an Error that names the file that could not be put or is not what it should be. */
export async function pushImage(
  store: string,
  { digest, manifest }: { digest: string; manifest: ImageManifest },
  target: string,
  options: PushOptions,
): Promise<Pushed> {
  const mirror = /^https?:\/\//.test(target) ? httpMirror(target, options) : directoryMirror(resolve(target));
  const chunks = new Map(manifest.chunks.map((chunk) => [chunkName(chunk), chunk.storedBytes]));
  const last = [signatureFile(digest), manifestFile(digest)];
  const total = [...chunks.values()].reduce((sum, size) => sum + size, 0);
  const pushed: Pushed = { files: 0, bytes: 0, there: 0 };
  let done = 0;
  const offer = async (path: string, size: number) => {
    if ((await mirror.size(path)) === size) {
      pushed.there++;
    } else {
      await mirror.put(path, join(store, path));
      pushed.files++;
      pushed.bytes += size;
    }
  };
  await inParallel([...chunks], options.signal, async ([name, size]) => {
    await offer(chunkFile(name), size);
    done += size;
    options.onProgress?.(done, total);
  });
  for (const path of last) await offer(path, (await stat(join(store, path))).size);
  if (options.verify) await verify(store, mirror, [...chunks.keys()], last, options.signal);
  return pushed;
}

async function verify(
  store: string,
  mirror: Mirror,
  chunks: string[],
  last: string[],
  signal: AbortSignal,
): Promise<void> {
  const bad: string[] = [];
  await inParallel(chunks, signal, async (name) => {
    if (hash("sha256", await mirror.read(chunkFile(name))) !== name) bad.push(chunkFile(name));
  });
  for (const path of last) {
    if (!Buffer.from(await mirror.read(path)).equals(await readFile(join(store, path)))) bad.push(path);
  }
  if (bad.length > 0) {
    throw new Error(
      `${bad.length} files on the mirror are not what was pushed: ${bad.slice(0, 5).join(", ")}; remove them there and push again`,
    );
  }
}

function directoryMirror(root: string): Mirror {
  return {
    size: (path) =>
      stat(join(root, path)).then(
        (facts) => facts.size,
        () => undefined,
      ),
    async put(path, from) {
      const target = join(root, path);
      await mkdir(dirname(target), { recursive: true });
      await copyFile(from, `${target}.new`);
      await rename(`${target}.new`, target);
    },
    read: (path) => readFile(join(root, path)),
  };
}

function httpMirror(base: string, { signal, pauseMs }: PushOptions): Mirror {
  // A name and password in the address become a header: fetch refuses them there.
  const { username, password, href } = new URL(base.endsWith("/") ? base : `${base}/`);
  const root = new URL(href);
  root.username = "";
  root.password = "";
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const headers: Record<string, string> = username
    ? { authorization: `Basic ${Buffer.from(credentials).toString("base64")}` }
    : {};
  /** Tries again what may go better the next time. */
  const ask = async (path: string, init: () => RequestInit): Promise<Response> => {
    const address = new URL(path, root).href;
    for (let attempt = 1; ; attempt++) {
      const answer = await fetch(address, { ...init(), signal }).then(
        (response) => response,
        (error: unknown) => error,
      );
      if (answer instanceof Response && answer.status < 500 && answer.status !== 429) return answer;
      signal.throwIfAborted();
      if (attempt === tries)
        throw new Error(`${address}: ${reason(answer)}, ${tries} times; push again when the mirror is well`);
      await sleep((pauseMs ?? 500) * 2 ** attempt, undefined, { signal });
    }
  };
  return {
    async size(path) {
      const response = await ask(path, () => ({ method: "HEAD", headers }));
      const length = response.headers.get("content-length");
      return response.ok && length !== null ? Number(length) : undefined;
    },
    async put(path, from) {
      const content = await readFile(from);
      const response = await ask(path, () => ({ method: "PUT", headers, body: content }));
      await response.body?.cancel();
      if (response.ok) return;
      throw new RefusedError(
        `${new URL(path, root).href}: the mirror answers a PUT with ${response.status} ${response.statusText}; it must allow PUT for you and make folders by itself`,
      );
    },
    async read(path) {
      const response = await ask(path, () => ({ headers }));
      if (!response.ok)
        throw new Error(`${new URL(path, root).href}: ${response.status} ${response.statusText}`);
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

function reason(failure: unknown): string {
  if (failure instanceof Response) return `${failure.status} ${failure.statusText}`;
  if (!(failure instanceof Error)) return String(failure);
  return failure.cause instanceof Error ? failure.cause.message : failure.message;
}

async function inParallel<T>(
  items: T[],
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  let failed = false;
  const lane = async () => {
    for (const item of queue) {
      signal.throwIfAborted();
      if (failed) return;
      await work(item).catch((error: unknown) => {
        failed = true;
        throw error;
      });
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: parallel }, lane));
  const failure = outcomes.find((outcome) => outcome.status === "rejected");
  if (failure) throw failure.reason;
}
