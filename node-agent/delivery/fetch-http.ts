// Chunks over plain HTTP: pipelined GETs on one connection. A body that is stored as it is is read straight to
// where it is written from. Beneath node:http, which makes a buffer for every 64 KiB.
import { connect, type Socket } from "node:net";
import { chunkFile } from "../../proto/image/layout.ts";
import { SourceFault } from "./faults.ts";
import type { Fetcher, FetchRequest, Sink, SourceAddress, WantedChunk } from "./fetcher.ts";
import { headLimit, parseHead } from "./http-head.ts";

/** For heads. Small, as what it catches of a body has to be copied. */
const scratchBytes = 4 << 10;
/** A server that says nothing for so long is away. */
const idleMs = 60_000;

/** Chunks asked for together. */
type Group = { sink: Sink; left: number; resolve(): void; reject(error: unknown): void };
type Wanted = { chunk: WantedChunk; group: Group };

export class HttpFetcher implements Fetcher {
  readonly #base: URL;
  readonly #wanted: Wanted[] = [];
  #connection: Connection | undefined;

  constructor({ address }: SourceAddress) {
    this.#base = new URL(address);
  }

  fetch({ chunks }: FetchRequest, sink: Sink): Promise<void> {
    return new Promise((resolve, reject) => {
      const group: Group = { sink, left: chunks.length, resolve, reject };
      const added = chunks.map((chunk) => ({ chunk, group }));
      this.#wanted.push(...added);
      if (this.#connection) this.#connection.ask(added);
      else this.#open();
    });
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
    for (const { group } of this.#wanted.splice(0)) group.reject(interrupted());
  }

  #open(): void {
    const connection = new Connection(this.#base, this.#wanted, (error) => this.#ended(connection, error));
    this.#connection = connection;
    connection.ask(this.#wanted);
  }

  #ended(connection: Connection, error: unknown): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    // Servers close a connection after so many answers; what they have not answered is asked for again.
    const isUsual = error instanceof SourceFault && error.kind === "away" && connection.answered > 0;
    if (isUsual && this.#wanted.length > 0) {
      this.#open();
      return;
    }
    const blamed = this.#wanted[0]?.group;
    const groups = new Set(this.#wanted.splice(0).map(({ group }) => group));
    for (const group of groups) {
      group.reject(group === blamed ? error : interrupted());
    }
  }
}

function interrupted(): SourceFault {
  return new SourceFault({
    kind: "interrupted",
    message: "another request on the same connection has failed",
  });
}

class Connection {
  /** Answers that came in full. */
  answered = 0;
  readonly #base: URL;
  readonly #wanted: Wanted[];
  readonly #onEnd: (error: unknown) => void;
  readonly #socket: Socket;
  readonly #scratch = Buffer.alloc(scratchBytes);
  #head = Buffer.alloc(0);
  /** What came of a body before there was room for it. */
  #early: Buffer | undefined;
  #room: Uint8Array | undefined;
  /** What the body is read into: the room, or where it waits to be decoded. */
  #body: Uint8Array | undefined;
  #packed = Buffer.alloc(0);
  #filled = 0;
  #closes = false;
  #isOver = false;

  /** Takes from `wanted` what it has answered. */
  constructor(base: URL, wanted: Wanted[], onEnd: (error: unknown) => void) {
    this.#base = base;
    this.#wanted = wanted;
    this.#onEnd = onEnd;
    this.#socket = connect({
      host: base.hostname.replace(/^\[|\]$/g, ""),
      port: Number(base.port || 80),
      noDelay: true,
      onread: {
        // Asked for right after each callback, and kept for the next read, also for one after a pause: so this is
        // never a room that has been given away.
        buffer: () => this.#body?.subarray(this.#filled) ?? this.#scratch,
        callback: (count, bytes) => this.#received(count, bytes),
      },
    });
    this.#socket.setTimeout(idleMs, () => this.#away(`it was silent for ${idleMs / 1000} s`));
    this.#socket.on("error", (error) => this.#away(error.message));
    this.#socket.on("close", () => this.#away("it closed the connection"));
    this.#socket.on("end", () => this.#away("it closed the connection"));
  }

  ask(wanted: Wanted[]): void {
    const { pathname, host } = this.#base;
    const request = ({ chunk }: Wanted) =>
      `GET ${pathname}${chunkFile(chunk.name)} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    this.#socket.write(wanted.map(request).join(""));
  }

  close(): void {
    this.#isOver = true;
    this.#socket.destroy();
    if (this.#room) this.#wanted[0]?.group.sink.giveBack(this.#room);
    this.#room = undefined;
  }

  #away(message: string): void {
    const chunk = this.#wanted[0]?.chunk.index;
    this.#end(new SourceFault({ kind: "away", message, chunk }));
  }

  #end(error: unknown): void {
    if (this.#isOver) return;
    this.close();
    this.#onEnd(error);
  }

  /** False: no more until there is room. */
  #received(count: number, bytes: Uint8Array): boolean {
    if (this.#isOver) return false;
    try {
      if (this.#body && bytes.buffer === this.#body.buffer) {
        this.#filled += count;
        if (this.#filled === this.#body.length) this.#complete();
        return true;
      }
      return this.#read(Buffer.from(bytes.subarray(0, count)));
    } catch (error) {
      this.#end(error);
      return false;
    }
  }

  /** Heads, and what of bodies came along with them. */
  #read(bytes: Buffer): boolean {
    let rest = bytes;
    while (rest.length > 0) {
      if (!this.#body) {
        const early = this.#readHead(rest);
        if (!early) return true;
        this.#body = this.#openBody();
        if (!this.#body) {
          this.#early = early;
          this.#pause();
          return false;
        }
        rest = early;
      }
      const part = rest.subarray(0, this.#body.length - this.#filled);
      this.#body.set(part, this.#filled);
      this.#filled += part.length;
      rest = rest.subarray(part.length);
      if (this.#filled === this.#body.length) this.#complete();
    }
    return true;
  }

  /** What follows the head; undefined if it has not ended. */
  #readHead(bytes: Buffer): Buffer | undefined {
    this.#head = Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf("\r\n\r\n");
    const wanted = this.#wanted[0];
    if (!wanted || (end < 0 && this.#head.length > headLimit)) {
      throw new SourceFault({ kind: "missing", message: "it sends what nobody asked for" });
    }
    if (end < 0) return undefined;
    const { index, storedBytes } = wanted.chunk;
    const body = this.#head.subarray(end + 4);
    const text = this.#head.toString("latin1", 0, end);
    this.#head = Buffer.alloc(0);
    try {
      const { contentLength, closes } = parseHead(text);
      this.#closes = closes;
      if (contentLength !== storedBytes) {
        const message = `it has ${contentLength} bytes, not ${storedBytes}`;
        throw new SourceFault({ kind: "wrong", message, chunk: index });
      }
    } catch (error) {
      if (!(error instanceof SourceFault)) throw error;
      throw new SourceFault({ ...error.fault, chunk: index });
    }
    return body;
  }

  /** Undefined while there is no room. */
  #openBody(): Uint8Array | undefined {
    const { chunk, group } = this.#wanted[0] as Wanted;
    this.#room = group.sink.room();
    if (!this.#room) return undefined;
    this.#filled = 0;
    if (!chunk.isPacked) return this.#room.subarray(0, chunk.storedBytes);
    if (this.#packed.length < chunk.storedBytes) this.#packed = Buffer.allocUnsafeSlow(chunk.storedBytes);
    return this.#packed.subarray(0, chunk.storedBytes);
  }

  #complete(): void {
    const [room, body] = [this.#room, this.#body];
    const wanted = this.#wanted[0];
    if (!room || !body || !wanted) throw new Error("an answer was completed that nobody waits for");
    this.#room = undefined;
    this.#body = undefined;
    // It stays the first of those that wait if it is not what it should be: then its group is to blame.
    wanted.group.sink.take(wanted.chunk, body, room);
    this.#wanted.shift();
    this.answered++;
    if (--wanted.group.left === 0) wanted.group.resolve();
    if (this.#closes) this.#away("it closed the connection");
  }

  #pause(): void {
    const sink = this.#wanted[0]?.group.sink;
    const again = () => {
      if (this.#isOver) return;
      const early = this.#early ?? Buffer.alloc(0);
      this.#body = this.#openBody();
      if (!this.#body) return this.#pause();
      this.#early = undefined;
      // Reading goes on into the scratch buffer that was given out before the pause.
      try {
        if (this.#read(early)) this.#socket.resume();
      } catch (error) {
        this.#end(error);
      }
    };
    void sink?.roomAgain().then(again);
  }
}
