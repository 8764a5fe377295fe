// The logs of attempts until the daemon has stored them. Bytes keep the offset that they were first sent
// with, so that a new session goes on where the daemon's acknowledgement ends, without gap or doubling.

export type LogChunk = { token: string; offset: number; content: Buffer };

const chunkLimit = 64 << 10;
/** Sent but not acknowledged; more is not sent before an acknowledgement. */
const defaultWindow = 2 << 20;
/** All that one attempt may keep in memory. */
const defaultLimit = 4 << 20;
/** Of lines that were never sent: each costs more than its bytes. */
const lineLimit = 64 << 10;
/** How many finished attempts may keep a log that the daemon does not acknowledge. */
const finishedLimit = 8;

export class AttemptLog {
  readonly #token: string;
  readonly #window: number;
  readonly #unsentLimit: number;
  /** Sent, not acknowledged, in order. */
  #sent: LogChunk[] = [];
  #sentBytes = 0;
  /** How many of `#sent` this session has sent. */
  #cursor = 0;
  #unsent = new LineQueue();
  #unsentBytes = 0;
  #droppedBytes = 0;
  /** Offset of the first byte that was never sent. */
  #end = 0;

  constructor(token: string, window = defaultWindow, limit = defaultLimit) {
    this.#token = token;
    this.#window = window;
    this.#unsentLimit = limit - window;
  }

  /** Never blocks. What was never sent may be dropped, oldest first; the log then says so. */
  append(line: string): void {
    this.write(`${line}\n`);
  }

  /** As append(), for whole lines with their ends. */
  write(text: string): void {
    const bytes = Buffer.from(text);
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
    const isFull = () => this.#unsentBytes > this.#unsentLimit || this.#unsent.length > lineLimit;
    while (isFull() && this.#unsent.length > 1) {
      const oldest = this.#unsent.shift()?.length ?? 0;
      this.#unsentBytes -= oldest;
      this.#droppedBytes += oldest;
    }
  }

  /** Whoever can wait should: otherwise something will be dropped before long. */
  get crowded(): boolean {
    return this.#unsentBytes > this.#unsentLimit / 2 || this.#unsent.length > lineLimit / 2;
  }

  /** The next chunk to send, if there is one and the window has room. */
  next(): LogChunk | undefined {
    const again = this.#sent[this.#cursor];
    if (again) {
      this.#cursor++;
      return again;
    }
    if (!this.#unsent.length || this.#sentBytes >= this.#window) return undefined;
    const content = this.#take();
    const chunk = { token: this.#token, offset: this.#end, content };
    this.#end += content.length;
    this.#sent.push(chunk);
    this.#sentBytes += content.length;
    this.#cursor++;
    return chunk;
  }

  /** Everything before `offset` is stored. */
  ack(offset: number): void {
    for (let first = this.#sent[0]; first && first.offset < offset; first = this.#sent[0]) {
      const stored = Math.min(offset - first.offset, first.content.length);
      this.#sentBytes -= stored;
      if (stored < first.content.length) {
        this.#sent[0] = { ...first, offset, content: first.content.subarray(stored) };
        return;
      }
      this.#sent.shift();
      if (this.#cursor > 0) this.#cursor--;
    }
  }

  /** A new session: what is not acknowledged is sent again. */
  rewind(): void {
    this.#cursor = 0;
  }

  /** Of all that was and will be sent, if nothing is added. */
  get length(): number {
    return this.#end + this.#unsentBytes + (this.#droppedBytes ? this.#note().length : 0);
  }

  get stored(): boolean {
    return !this.#sent.length && !this.#unsent.length;
  }

  #take(): Buffer {
    if (this.#droppedBytes) {
      const note = this.#note();
      this.#droppedBytes = 0;
      this.#unsent.putBack(note);
      this.#unsentBytes += note.length;
    }
    const parts: Buffer[] = [];
    let room = chunkLimit;
    while (room > 0) {
      const line = this.#unsent.shift();
      if (!line) break;
      const part = line.subarray(0, room);
      if (part.length < line.length) this.#unsent.putBack(line.subarray(room));
      parts.push(part);
      room -= part.length;
    }
    const content = Buffer.concat(parts);
    this.#unsentBytes -= content.length;
    return content;
  }

  #note(): Buffer {
    const what = `${this.#droppedBytes} bytes of this log are lost`;
    return Buffer.from(`[${what}: the daemon did not take them in time]\n`);
  }
}

/** First in, first out; an array's own shift() moves all that is behind. */
class LineQueue {
  #lines: Buffer[] = [];
  #head = 0;

  get length(): number {
    return this.#lines.length - this.#head;
  }

  push(line: Buffer): void {
    this.#lines.push(line);
  }

  shift(): Buffer | undefined {
    const line = this.#lines[this.#head];
    if (!line) return undefined;
    this.#head++;
    if (this.#head * 2 > this.#lines.length) {
      this.#lines = this.#lines.slice(this.#head);
      this.#head = 0;
    }
    return line;
  }

  /** To the front. */
  putBack(line: Buffer): void {
    if (this.#head) this.#lines[--this.#head] = line;
    else this.#lines.unshift(line);
  }
}

/** The logs of all attempts that the daemon has not stored in full: the running one and a few finished ones. */
export class LogBook {
  #logs = new Map<string, AttemptLog>();
  #finished = new Set<string>();

  get size(): number {
    return this.#logs.size;
  }

  append(token: string, line: string): void {
    this.write(token, `${line}\n`);
  }

  write(token: string, text: string): void {
    let log = this.#logs.get(token);
    if (!log) {
      log = new AttemptLog(token);
      this.#logs.set(token, log);
    }
    log.write(text);
  }

  crowded(token: string): boolean {
    return this.#logs.get(token)?.crowded ?? false;
  }

  next(): LogChunk | undefined {
    for (const log of this.#logs.values()) {
      const chunk = log.next();
      if (chunk) return chunk;
    }
    return undefined;
  }

  ack(token: string, offset: number): void {
    this.#logs.get(token)?.ack(offset);
    this.#forgetStored(token);
  }

  /** Nothing will be added to this log. Returns its length. */
  finish(token: string): number {
    const log = this.#logs.get(token);
    if (!log) return 0;
    this.#finished.add(token);
    this.#forgetStored(token);
    for (const oldest of this.#finished) {
      if (this.#finished.size <= finishedLimit) break;
      this.#forget(oldest);
    }
    return log.length;
  }

  rewind(): void {
    for (const log of this.#logs.values()) log.rewind();
  }

  #forgetStored(token: string): void {
    if (this.#finished.has(token) && this.#logs.get(token)?.stored) this.#forget(token);
  }

  #forget(token: string): void {
    this.#logs.delete(token);
    this.#finished.delete(token);
  }
}
