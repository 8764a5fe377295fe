import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fetchTorrent, forgetTorrent, isTorrent } from "./torrent.ts";

const pieceBytes = 256 << 10;

/** A torrent of one file, of which an HTTP server is the only seed. */
function torrentOf(content: Buffer, seed: string): Buffer {
  const digests: Buffer[] = [];
  for (let at = 0; at < content.length; at += pieceBytes) {
    digests.push(
      createHash("sha1")
        .update(content.subarray(at, at + pieceBytes))
        .digest(),
    );
  }
  const pieces = Buffer.concat(digests);
  const text = (value: string) => `${value.length}:${value}`;
  const info = `6:lengthi${content.length}e4:name8:disk.img12:piece lengthi${pieceBytes}e6:pieces${pieces.length}:`;
  const end = `e8:url-list${text(seed)}e`;
  return Buffer.concat([Buffer.from(`d4:infod${info}`), pieces, Buffer.from(end)]);
}

test("a torrent's one file is fetched, also from a web seed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "torrent-"));
  const content = randomBytes(pieceBytes * 3 + 1000);
  const server = createServer((request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    if (from === undefined) return response.writeHead(200, { "content-length": content.length }).end(content);
    const end = to ? Number(to) : content.length - 1;
    const headers = {
      "content-range": `bytes ${from}-${end}/${content.length}`,
      "content-length": end + 1 - Number(from),
    };
    return response.writeHead(206, headers).end(content.subarray(Number(from), end + 1));
  }).listen(0, "127.0.0.1");
  try {
    await new Promise((resolve) => server.once("listening", resolve));
    const seed = `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.img`;
    const source = join(directory, "disk.torrent");
    await writeFile(source, torrentOf(content, seed));
    const downloads = join(directory, "downloads");
    const signal = new AbortController().signal;
    const path = await fetchTorrent(source, { directory: downloads, signal, onProgress: () => {} });
    expect((await readFile(path)).equals(content)).toBe(true);
    await forgetTorrent(downloads, source);
    expect(await readdir(downloads)).toEqual([]);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
  }
});

test("magnet links and torrent files are torrents, images are not", () => {
  expect(["magnet:?xt=urn:btih:0", "http://host/x.torrent", "x.torrent"].every(isTorrent)).toBe(true);
  expect(["http://host/x.img", "x"].some(isTorrent)).toBe(false);
});
