// Chunks over gRPC (DeliveryService.FetchChunks), on a connection of its own. On node:http2 and not on grpc-js, which
// takes half as much processor time again to receive, and puts every message together before it gives it away.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
} from "node:http2";
import { SourceFault } from "./faults.ts";
import type { Fetcher, FetchRequest, Sink, SourceAddress } from "./fetcher.ts";
import { HeadReader } from "./grpc-message.ts";
import { ok, statusFault } from "./grpc-status.ts";

const path = "/muster.v1.DeliveryService/FetchChunks";
/** What may be under way to one lane; with the default of 64 KiB the sender would wait for every chunk. */
const windowBytes = 8 << 20;
/** A server that does not answer a ping until the next one is due is away. */
const pingMs = 20_000;

export class GrpcFetcher implements Fetcher {
  readonly #source: SourceAddress;
  #session: Session | undefined;

  constructor(source: SourceAddress) {
    this.#source = source;
  }

  async fetch(request: FetchRequest, sink: Sink): Promise<void> {
    if (!this.#session?.isOpen) this.#session = new Session(this.#source);
    await this.#session.fetch(request, sink);
  }

  close(): void {
    this.#session?.close();
  }
}

class Session {
  readonly #ticket: string;
  readonly #http: ClientHttp2Session;
  readonly #pings: NodeJS.Timeout;
  #fault = "it closed the connection";
  #isPinging = false;

  constructor({ address, ticket }: SourceAddress) {
    this.#ticket = ticket;
    this.#http = connect(`http://${address}`, {
      settings: { initialWindowSize: windowBytes, enablePush: false },
      // In units of a million bytes: node's own limit of 10 is less than two windows.
      maxSessionMemory: 64,
    });
    this.#http.on("connect", () => this.#http.setLocalWindowSize(windowBytes));
    this.#http.on("error", (error) => {
      this.#fault = error.message;
    });
    this.#pings = setInterval(() => this.#ping(), pingMs).unref();
    this.#http.on("close", () => clearInterval(this.#pings));
  }

  get isOpen(): boolean {
    return !this.#http.closed && !this.#http.destroyed;
  }

  fetch(request: FetchRequest, sink: Sink): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = this.#open();
      const call = new Call(stream, request, sink);
      stream.on("close", () => {
        const error = call.outcome(this.#fault);
        if (error) reject(error);
        else resolve();
      });
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(request.encoded.length, 1);
      stream.end(Buffer.concat([prefix, request.encoded]));
    });
  }

  close(): void {
    this.#http.destroy();
  }

  /** Throws SourceFault. */
  #open(): ClientHttp2Stream {
    try {
      return this.#http.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        ...(this.#ticket ? { "muster-ticket": this.#ticket } : {}),
      });
    } catch (error) {
      // The server has just said that it goes away.
      throw new SourceFault({
        kind: "away",
        message: error instanceof Error ? error.message : String(error),
      });
    }
  }

  #ping(): void {
    if (this.#isPinging) {
      this.#fault = `it was silent for ${pingMs / 1000} s`;
      this.#http.destroy();
      return;
    }
    this.#isPinging = true;
    this.#http.ping(() => {
      this.#isPinging = false;
    });
  }
}

/** One request and its answers. */
class Call {
  readonly #stream: ClientHttp2Stream;
  readonly #request: FetchRequest;
  readonly #sink: Sink;
  readonly #head = new HeadReader();
  #came = 0;
  #room: Uint8Array | undefined;
  /** What the content is read into: the room, or where it waits to be decoded. */
  #body: Uint8Array | undefined;
  #packed = Buffer.alloc(0);
  #filled = 0;
  #early: Buffer | undefined;
  #status: { code: number; message: string } | undefined;
  #error: unknown;

  constructor(stream: ClientHttp2Stream, request: FetchRequest, sink: Sink) {
    this.#stream = stream;
    this.#request = request;
    this.#sink = sink;
    stream.on("response", (headers) => this.#answered(headers));
    stream.on("trailers", (headers) => this.#ended(headers));
    stream.on("data", (bytes: Buffer) => this.#received(bytes));
    stream.on("error", (error) => {
      this.#error ??= statusFault(14, error.message, this.#next);
    });
  }

  /** When the stream is closed: why it failed; undefined if all came. */
  outcome(fault: string): unknown {
    if (this.#room) this.#sink.giveBack(this.#room);
    this.#room = undefined;
    if (this.#came === this.#request.chunks.length) return undefined;
    if (this.#status && this.#status.code !== ok) {
      return statusFault(this.#status.code, this.#status.message, this.#next);
    }
    if (this.#error) return this.#error;
    if (!this.#status) return new SourceFault({ kind: "away", message: fault, chunk: this.#next });
    const message = `it ended after ${this.#came} of ${this.#request.chunks.length} chunks`;
    return new SourceFault({ kind: "missing", message, chunk: this.#next });
  }

  /** The index of the chunk that is due. */
  get #next(): number | undefined {
    return this.#request.chunks[this.#came]?.index;
  }

  #answered(headers: IncomingHttpHeaders & { ":status"?: number }): void {
    const status = headers[":status"];
    if (headers["grpc-status"] !== undefined) this.#ended(headers);
    else if (status !== 200 || !headers["content-type"]?.startsWith("application/grpc")) {
      this.#fail(
        new SourceFault({ kind: "missing", message: `it does not speak gRPC: HTTP status ${status}` }),
      );
    }
  }

  #ended(headers: IncomingHttpHeaders): void {
    const message = String(headers["grpc-message"] ?? "");
    this.#status = { code: Number(headers["grpc-status"] ?? 2), message: decodeMessage(message) };
  }

  #fail(error: unknown): void {
    this.#error ??= error;
    this.#early = undefined;
    this.#stream.destroy();
  }

  #received(bytes: Buffer): void {
    if (this.#error) return;
    if (this.#early) {
      // It comes in although it was asked to wait.
      this.#early = Buffer.concat([this.#early, bytes]);
      return;
    }
    try {
      this.#read(bytes);
    } catch (error) {
      const isOfSource = error instanceof SourceFault;
      this.#fail(isOfSource ? new SourceFault({ ...error.fault, chunk: error.chunk ?? this.#next }) : error);
    }
  }

  #read(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      if (!this.#body) {
        if (!this.#room) this.#room = this.#sink.room();
        if (!this.#room) {
          this.#early = rest;
          this.#wait();
          return;
        }
        const read = this.#head.read(rest);
        if (!read) return;
        this.#open(read.head.index, read.head.contentBytes, this.#room);
        rest = read.rest;
      }
      const body: Uint8Array = this.#body ?? this.#packed;
      const part = rest.subarray(0, body.length - this.#filled);
      body.set(part, this.#filled);
      this.#filled += part.length;
      rest = rest.subarray(part.length);
      if (this.#filled === body.length) this.#complete(body);
    }
  }

  #open(index: number, contentBytes: number, room: Uint8Array): void {
    const wanted = this.#request.chunks[this.#came];
    if (wanted?.index !== index) {
      throw new SourceFault({ kind: "missing", message: `chunk ${index} came out of turn` });
    }
    if (contentBytes !== wanted.storedBytes) {
      const message = `it has ${contentBytes} bytes, not ${wanted.storedBytes}`;
      throw new SourceFault({ kind: "wrong", message, chunk: index });
    }
    if (wanted.isPacked && this.#packed.length < contentBytes) {
      this.#packed = Buffer.allocUnsafeSlow(contentBytes);
    }
    this.#body = (wanted.isPacked ? this.#packed : room).subarray(0, contentBytes);
    this.#filled = 0;
  }

  #complete(body: Uint8Array): void {
    const wanted = this.#request.chunks[this.#came];
    const room = this.#room;
    if (!wanted || !room) throw new Error("a chunk was completed that nobody waits for");
    this.#room = undefined;
    this.#body = undefined;
    this.#sink.take(wanted, body, room);
    this.#came++;
  }

  #wait(): void {
    this.#stream.pause();
    void this.#sink.roomAgain().then(() => {
      const early = this.#early;
      if (!early) return;
      this.#early = undefined;
      this.#received(early);
      if (!this.#early) this.#stream.resume();
    });
  }
}

function decodeMessage(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}
