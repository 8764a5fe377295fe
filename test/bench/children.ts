// Processes that end with the bench, also when it is killed; what they answer, and what they cost.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { cpuOf } from "./timed.ts";

/** A child may hold thousands of sockets: it gets all the files that this machine allows. */
const raiseFileLimit = 'ulimit -n "$(ulimit -H -n)"; exec "$@"';

type Answer = { id: number; value?: unknown; error?: string };

const running = new Set<ChildProcess>();

/** At once: the bench is interrupted. */
export function killChildren(): void {
  for (const child of running) child.kill("SIGKILL");
}

export class Child implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;
  /** The end of what it has written to stderr. */
  #said = "";

  /** `main`: a file of the repository. `nodeOptions` go before it. */
  constructor(name: string, main: string, argv: string[], nodeOptions: string[] = []) {
    this.#name = name;
    const file = path.join(import.meta.dirname, "../..", main);
    const node = [process.execPath, ...nodeOptions, file, ...argv];
    this.#process = spawn("setpriv", ["--pdeathsig", "KILL", "sh", "-c", raiseFileLimit, "sh", ...node], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: { ...process.env, MUSTER_LOG: "error" },
    });
    running.add(this.#process);
    this.#process.stderr?.on("data", (text) => {
      this.#said = `${this.#said}${text}`.slice(-2000);
    });
    this.#process.on("message", (answer: Answer) => this.#settle(answer));
    this.#process.on("exit", (code, signal) => {
      running.delete(this.#process);
      const error = new Error(`${name} ended (${signal ?? `exit code ${code}`}):\n${this.#said}`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
  }

  /** Has the child do something; it answers through `answer()`. */
  ask<T>(call: string, value: unknown = {}): Promise<T> {
    const id = ++this.#lastId;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    if (!this.running) waiting.reject(new Error(`${this.#name} has ended`));
    else this.#process.send({ id, call, value });
    return waiting.promise as Promise<T>;
  }

  get said(): string {
    return this.#said;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Kilobytes in memory. */
  get rssKb(): number {
    const [, kb] = /^VmRSS:\s*(\d+) kB/m.exec(this.#proc("status")) ?? [];
    return Number(kb);
  }

  /** CPU seconds since it began, of what it has started and waited for too. */
  get cpuSeconds(): number {
    return cpuOf(this.#process.pid ?? 0);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.running) return;
    const ended = once(this.#process, "exit");
    this.#process.kill(signal);
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }

  #proc(file: string): string {
    return readFileSync(`/proc/${this.#process.pid}/${file}`, "utf8");
  }

  #settle({ id, value, error }: Answer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(`${this.#name}: ${error}`));
  }
}

/** In a child: answers what its parent asks. */
export function answer(calls: Record<string, (value: never) => unknown>): void {
  process.on("message", async ({ id, call, value }: { id: number; call: string; value: never }) => {
    try {
      process.send?.({ id, value: await calls[call]?.(value) });
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? error.message : String(error) });
    }
  });
}
