// The same over HTTP, as plain files: what a mirror serves, below a path that has the ticket in it.
//
//   /t/TICKET/manifests/DIGEST.binpb, and .sig after it     /t/TICKET/chunks/XX/NAME
//
// A connection's requests are answered one after another, however many it has sent at once, and a chunk at a time
// is in memory for it. Addresses are not logged: they have tickets in them.
import { once } from "node:events";
import { closeSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { parseRange } from "../drivers/boot/byte-range.ts";
import type { Plane } from "./grpc.ts";
import { readFully, type ServedChunk, type ServedImage } from "./served-images.ts";
import type { Ticket } from "./ticket.ts";

/** What is asked for is named by its content. */
const forEver = "public, max-age=31536000, immutable";
/** Of requests that one connection may have waiting. */
const waitingMax = 1024;

/** `rest`: what comes after the ticket and a slash, without the query. */
export type TicketPath = { ticket: string; rest: string; query: string };

/** Answers what lies below `/t/TICKET/` besides manifests and chunks; false if it is not that either. */
export type OtherPaths = (
  path: TicketPath,
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<boolean>;

export function createDeliveryHttpServer(plane: Plane, others: OtherPaths = async () => false): Server {
  const files = new TicketFiles(plane);
  const queues = new WeakMap<Socket, { turn: Promise<void>; waiting: number }>();
  const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
    const queue = queues.get(request.socket) ?? { turn: Promise.resolve(), waiting: 0 };
    queues.set(request.socket, queue);
    if (++queue.waiting > waitingMax) return request.socket.destroy();
    // Nobody sends a body with a GET; one that came all the same would be in the way of the next request.
    request.resume();
    queue.turn = queue.turn
      .then(() => answer(files, others, request, response))
      .catch(() => void response.destroy())
      .finally(() => queue.waiting--);
  });
  // Agents come back to a connection after a while, and this end must not be the one that has just closed it.
  server.headersTimeout = 80_000;
  return server;
}

async function answer(
  files: TicketFiles,
  others: OtherPaths,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.socket.destroyed) return;
  const closed = once(response, "close");
  try {
    const path = ticketPath(request.url ?? "");
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      say(response, 405, "only GET and HEAD are answered here");
    } else if (
      !path ||
      !((await files.answer(path, request, response)) || (await others(path, request, response)))
    ) {
      say(response, 404, "there are only manifests/DIGEST.binpb, its .sig, and chunks/XX/DIGEST here");
    }
  } catch (error) {
    if (response.headersSent) response.destroy();
    else say(response, statusOf(error), error instanceof RpcError ? error.message : "this cannot be read");
  }
  await closed;
}

function ticketPath(url: string): TicketPath | undefined {
  const [, ticket, rest, query = ""] = /^\/t\/([\w.-]+)\/([\w./-]+)(?:\?(.*))?$/.exec(url) ?? [];
  return ticket === undefined || rest === undefined ? undefined : { ticket, rest, query };
}

function statusOf(error: unknown): number {
  const code = error instanceof RpcError ? error.code : codes.INTERNAL;
  if (code === codes.UNAUTHENTICATED) return 403;
  return code === codes.NOT_FOUND || code === codes.DATA_LOSS ? 404 : 500;
}

function say(response: ServerResponse, status: number, message: string): void {
  for (const header of ["etag", "content-length", "content-range", "accept-ranges"])
    response.removeHeader(header);
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" });
  response.end(`${message}\n`);
}

class TicketFiles {
  readonly #plane: Plane;

  constructor(plane: Plane) {
    this.#plane = plane;
  }

  /** False if it is another kind of path. */
  async answer(
    { ticket: text, rest }: TicketPath,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<boolean> {
    const [, digest, signature] = /^manifests\/([0-9a-f]{64})\.binpb(\.sig)?$/.exec(rest) ?? [];
    if (digest !== undefined) {
      this.#plane.gate(text, digest);
      await this.#manifest(digest, signature !== undefined, request, response);
      return true;
    }
    const [, directory, name] = /^chunks\/([0-9a-f]{2})\/([0-9a-f]{64})$/.exec(rest) ?? [];
    if (name === undefined || !name.startsWith(directory ?? "")) return false;
    const ticket = this.#plane.gate(text);
    await this.#chunk(ticket, name, request, response);
    return true;
  }

  async #manifest(
    digest: string,
    signature: boolean,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const signed = await this.#plane.images.files.signed(digest);
    if (!signed) throw new RpcError(codes.NOT_FOUND, `there is no image ${digest} in the store`);
    const content = signature ? signed.signature : signed.manifest;
    const range = begin(request, response, `${digest}${signature ? ".sig" : ""}`, content.length);
    if (range) response.end(content.subarray(range.first, range.last + 1));
  }

  async #chunk(
    ticket: Ticket,
    name: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { images, throttle, meter, buffers } = this.#plane;
    const found = await this.#find(ticket, name);
    if (!found)
      throw new RpcError(codes.UNAUTHENTICATED, `the ticket is for an image that has no chunk ${name}`);
    const { image, chunk } = found;
    const range = begin(request, response, name, chunk.storedBytes);
    if (!range) return;
    const bytes = range.last - range.first + 1;
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const { node, rack } = ticket;
    await throttle.turn({ node, rack, bytes, remaining: image.storedBytes }, gone.signal);
    if (response.destroyed) return;
    const { fd } = images.open(image, chunk);
    const buffer = buffers.take(bytes);
    try {
      readFully(fd, buffer, range.first);
    } finally {
      closeSync(fd);
    }
    meter.begin();
    const stalled = setTimeout(() => {
      meter.stalled();
      response.destroy();
    }, this.#plane.stallMs);
    response.once("finish", () => buffers.give(buffer));
    response.once("close", () => {
      clearTimeout(stalled);
      meter.end();
    });
    meter.sent(bytes);
    response.end(buffer);
  }

  async #find(
    { images }: Ticket,
    name: string,
  ): Promise<{ image: ServedImage; chunk: ServedChunk } | undefined> {
    for (const digest of images) {
      const image = await this.#plane.images.find(digest);
      const chunk = image?.byName.get(name);
      if (image && chunk) return { image, chunk };
    }
    return undefined;
  }
}

/** Sets the headers. Returns which bytes are wanted; undefined if it has answered all that there is to answer. */
function begin(
  request: IncomingMessage,
  response: ServerResponse,
  tag: string,
  size: number,
): { first: number; last: number } | undefined {
  const etag = `"${tag}"`;
  const { "if-none-match": known, "if-range": unchanged } = request.headers;
  response.setHeader("etag", etag);
  response.setHeader("cache-control", forEver);
  response.setHeader("accept-ranges", "bytes");
  if (known === "*" || known?.split(/, */).includes(etag)) {
    response.writeHead(304).end();
    return undefined;
  }
  const wanted = unchanged === undefined || unchanged === etag ? request.headers.range : undefined;
  const range = parseRange(wanted, size);
  if (range === "unsatisfiable") {
    response.writeHead(416, { "content-range": `bytes */${size}` }).end();
    return undefined;
  }
  const { first, last } = range ?? { first: 0, last: size - 1 };
  response.setHeader("content-type", "application/octet-stream");
  response.setHeader("content-length", last - first + 1);
  if (range) response.setHeader("content-range", `bytes ${first}-${last}/${size}`);
  response.statusCode = range ? 206 : 200;
  if (request.method !== "HEAD") return { first, last };
  response.end();
  return undefined;
}
