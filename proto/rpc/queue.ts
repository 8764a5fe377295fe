// A bounded queue that is read as an async iterable: how pushed events become a stream's messages.

/** The reader was slower than the writer for longer than the queue could hold. */
export class QueueOverflowError extends Error {
  override name = "QueueOverflowError";
}

export class MessageQueue<T> implements AsyncIterable<T> {
  readonly #limit: number;
  #items: T[] = [];
  #wake: (() => void) | undefined;
  #closed = false;
  #error: Error | undefined;

  /** `limit`: how many items may wait before push() fails the queue. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Never blocks. False if the queue is closed or has overflowed; the reader then gets the error. */
  push(item: T): boolean {
    return this.pushAll([item]);
  }

  /** As push(), for what belongs together: it is let in whole, however much it is, or not at all. */
  pushAll(items: readonly T[]): boolean {
    if (this.#closed) return false;
    if (this.#items.length >= this.#limit) {
      this.fail(new QueueOverflowError(`more than ${this.#limit} messages are waiting`));
      return false;
    }
    for (const item of items) this.#items.push(item);
    this.#wakeReader();
    return true;
  }

  /** The reader gets what is waiting, then the end. */
  close(): void {
    this.#closed = true;
    this.#wakeReader();
  }

  /** The reader gets the error at once. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#items = [];
    this.close();
  }

  get closed(): boolean {
    return this.#closed;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    while (true) {
      while (this.#items.length) {
        const batch = this.#items;
        this.#items = [];
        yield* batch;
      }
      if (this.#error) throw this.#error;
      if (this.#closed) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #wakeReader(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
