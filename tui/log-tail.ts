// The tail of one step's log, kept as its last lines while a screen shows it. Goes on with the next attempt
// when there is one, and where it stopped when the daemon was away.
import type { WatchService } from "../proto/gen/muster/v1/watch_pb.ts";
import type { ServiceClient } from "../proto/rpc/client.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { clean } from "./format.ts";
import type { LogText } from "./screens/logs.ts";
import { LineSplitter } from "./verbs/logs.ts";
import { sleep } from "./watch.ts";

const lineLimit = 5000;
const pauseMs = 500;

type LogClient = Pick<ServiceClient<typeof WatchService>, "tailLog">;

export type LogTailOptions = {
  step: string;
  /** The step's current attempt, 0 before the first. */
  attempt: () => number;
  changed: () => void;
};

export class LogTail implements Disposable {
  readonly #options: LogTailOptions;
  readonly #stop = new AbortController();
  #lines: string[] = [];
  #ended = false;
  #error = "";

  constructor(client: LogClient, options: LogTailOptions) {
    this.#options = options;
    void this.#run(client);
  }

  get text(): LogText {
    return { lines: this.#lines, ended: this.#ended, error: this.#error };
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  async #run(client: LogClient): Promise<void> {
    const { signal } = this.#stop;
    // A step that has not begun is read as its first attempt, as soon as there is one.
    const attempt = () => Math.max(1, this.#options.attempt());
    while (!signal.aborted) {
      const read = attempt();
      await this.#readAttempt(client);
      while (!signal.aborted && attempt() === read) await sleep(pauseMs, signal);
      if (!signal.aborted) this.#add([`── attempt ${attempt()} ──`], { ended: false, error: "" });
    }
  }

  /** One attempt to its end, again from where it stopped while the daemon is away. */
  async #readAttempt(client: LogClient): Promise<void> {
    const { signal } = this.#stop;
    const { step } = this.#options;
    const splitter = new LineSplitter();
    let offset = 0n;
    while (!signal.aborted) {
      try {
        for await (const { content } of client.tailLog({ step, offset, follow: true }, { signal })) {
          offset += BigInt(content.length);
          this.#add(splitter.push(content), { ended: false, error: "" });
        }
        this.#add(splitter.end(), { ended: true, error: "" });
        return;
      } catch (error) {
        const rpc = RpcError.from(error);
        const away = rpc.code === codes.UNAVAILABLE;
        const text = rpc.code === codes.NOT_FOUND ? "this step has no log" : clean(rpc.message);
        this.#add([], { ended: !away, error: text });
        if (!away) return;
        await sleep(pauseMs, signal);
      }
    }
  }

  #add(lines: string[], { ended, error }: { ended: boolean; error: string }): void {
    if (this.#stop.signal.aborted) return;
    this.#lines = [...this.#lines, ...lines].slice(-lineLimit);
    this.#ended = ended;
    this.#error = error;
    this.#options.changed();
  }
}
