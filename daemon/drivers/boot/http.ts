// What machines fetch over HTTP while they boot: scripts by policy, kernel, ramdisk and the join bundle.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { gzipSync } from "node:zlib";
import type { Logger } from "pino";
import type { BootingMachine, BootPolicy } from "../../domain/ports.ts";
import { errorCode } from "../files.ts";
import { parseRange } from "./byte-range.ts";
import { cpioArchive } from "./cpio.ts";
import { chainScript, ignoreScript, localDiskScript, notBuiltScript, ramdiskScript } from "./ipxe.ts";

export type BootRequest = {
  /** Empty if the machine did not say: it does from its second request on. */
  mac: string;
  address: string;
  path: string;
  status: number;
  /** What it was told to do, for /node.ipxe. */
  decision?: "ramdisk" | "disk" | "ignore" | "wait";
};

export type BootHttpOptions = {
  /** Has vmlinuz and initrd.img. */
  bootDirectory: string;
  /** URL of this server as machines see it. A function, as the port may be chosen late. */
  base: () => string;
  policy: BootPolicy;
  /** JoinBundle as JSON. */
  joinBundle: () => string;
  onRequest?: (request: BootRequest) => void;
  log: Logger;
};

type Answer =
  | { text: string; decision?: BootRequest["decision"] }
  | { bytes: Uint8Array }
  | { file: string }
  | { notFound: string };

export function createBootHttpServer(options: BootHttpOptions): Server {
  return createServer((request, response) => {
    const url = URL.parse(request.url ?? "/", "http://boot");
    if (!url) return response.writeHead(400).end();
    const machine = machineOf(url, request);
    const note = (decision?: BootRequest["decision"]) => {
      const noted = {
        mac: machine.mac,
        address: machine.address,
        path: url.pathname,
        status: response.statusCode,
      };
      options.log.info(
        { ...noted, decision },
        `boot: ${machine.mac || machine.address} fetches ${url.pathname}`,
      );
      options.onRequest?.({ ...noted, decision });
    };
    handle(options, request, response, url, machine, note).catch((error: Error) => {
      options.log.warn({ err: error, address: machine.address }, `boot: ${url.pathname} was not delivered`);
      if (!response.headersSent) response.writeHead(500);
      response.destroy();
    });
  });
}

async function handle(
  options: BootHttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  machine: BootingMachine,
  note: (decision?: BootRequest["decision"]) => void,
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
    return note();
  }
  const answer = await answerTo(options, url.pathname, machine);
  if ("file" in answer) return await sendFile(request, response, answer.file, note);
  if ("notFound" in answer)
    response.writeHead(404, { "content-type": "text/plain" }).end(`${answer.notFound}\n`);
  else {
    const body = "bytes" in answer ? answer.bytes : answer.text;
    const contentType = "bytes" in answer ? "application/octet-stream" : "text/plain; charset=utf-8";
    response.writeHead(200, { "content-type": contentType, "content-length": Buffer.byteLength(body) });
    response.end(request.method === "HEAD" ? undefined : body);
  }
  note("decision" in answer ? answer.decision : undefined);
}

async function answerTo(options: BootHttpOptions, path: string, machine: BootingMachine): Promise<Answer> {
  switch (path) {
    case "/boot.ipxe":
      return { text: chainScript(options.base()) };
    case "/node.ipxe":
      return await nodeScript(options, machine);
    case "/vmlinuz":
    case "/initrd.img":
      return { file: join(options.bootDirectory, path) };
    case "/join.img":
      return { bytes: joinArchive(options.joinBundle()) };
    default:
      return {
        notFound: `${path}: there are only boot.ipxe, node.ipxe, vmlinuz, initrd.img and join.img here`,
      };
  }
}

async function nodeScript(options: BootHttpOptions, machine: BootingMachine): Promise<Answer> {
  if (machine.mac === "") return { notFound: "node.ipxe: which machine? Give ?mac=aa-bb-cc-dd-ee-ff" };
  const decision = options.policy.decide(machine);
  if (decision === "disk") return { text: localDiskScript(), decision };
  if (decision === "ignore") return { text: ignoreScript(), decision };
  const missing: string[] = [];
  for (const name of ["vmlinuz", "initrd.img"]) {
    if ((await fileSize(join(options.bootDirectory, name))) === undefined) missing.push(name);
  }
  if (missing.length === 0) return { text: ramdiskScript(options.base(), machine), decision };
  options.log.error(`boot: ${missing.join(" and ")} not built; run "muster image build --ramdisk"`);
  return { text: notBuiltScript(options.base(), missing), decision: "wait" };
}

/**
 * The second initrd: what the agent needs to find and trust the daemon. Compressed, because the kernel's EFI stub
 * puts it right behind the first and a plain archive would have to start at a multiple of 4 bytes.
 */
function joinArchive(joinBundle: string): Uint8Array {
  const archive = cpioArchive([
    { path: "etc", mode: 0o755, directory: true },
    { path: "etc/muster", mode: 0o755, directory: true },
    { path: "etc/muster/join.json", mode: 0o600, content: Buffer.from(joinBundle) },
  ]);
  return gzipSync(archive);
}

async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  note: () => void,
): Promise<void> {
  const size = await fileSize(path);
  if (size === undefined) {
    response
      .writeHead(404, { "content-type": "text/plain" })
      .end('not built: run "muster image build --ramdisk"\n');
    return note();
  }
  const range = parseRange(request.headers.range, size);
  if (range === "unsatisfiable") {
    response.writeHead(416, { "content-range": `bytes */${size}` }).end();
    return note();
  }
  const { first, last } = range ?? { first: 0, last: size - 1 };
  response.setHeader("accept-ranges", "bytes");
  response.setHeader("content-type", "application/octet-stream");
  response.setHeader("content-length", last - first + 1);
  if (range) response.setHeader("content-range", `bytes ${first}-${last}/${size}`);
  response.writeHead(range ? 206 : 200);
  note();
  if (request.method === "HEAD" || size === 0) response.end();
  else await pipeline(createReadStream(path, { start: first, end: last, highWaterMark: 1 << 18 }), response);
}

function machineOf(url: URL, request: IncomingMessage): BootingMachine {
  const mac = (url.searchParams.get("mac") ?? "").toLowerCase().replaceAll("-", ":");
  return {
    mac: /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac) ? mac : "",
    uuid: (url.searchParams.get("uuid") ?? "").toLowerCase(),
    platform: url.searchParams.get("platform") ?? "",
    address: (request.socket.remoteAddress ?? "").replace(/^::ffff:/, ""),
  };
}

async function fileSize(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
