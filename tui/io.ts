// What a verb may touch of the outside: output, a question to the operator, the clock, the interrupt.
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { buffer } from "node:stream/consumers";

export type Io = {
  /** One line of results. */
  out(line: string): void;
  /** One line for the operator's eyes. */
  err(line: string): void;
  /** Bytes as they are. */
  write(content: Uint8Array): void;
  /** Both ends are a terminal: questions may be asked. */
  interactive: boolean;
  /** Output goes to a terminal: escapes of machines must be taken out. */
  terminal: boolean;
  /** How wide the terminal is; 80 where there is none. */
  columns: number;
  ask(question: string): Promise<string>;
  /** A line that is typed and not shown. */
  askHidden(question: string): Promise<string>;
  /** All of the standard input; undefined if that is a terminal. */
  input(): Promise<Uint8Array | undefined>;
  now(): number;
  /** Aborted by the first interrupt. */
  signal: AbortSignal;
  env: NodeJS.ProcessEnv;
};

export function processIo(signal: AbortSignal): Io {
  return {
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    write: (content) => process.stdout.write(content),
    interactive: Boolean(process.stdin.isTTY && process.stdout.isTTY),
    terminal: Boolean(process.stdout.isTTY),
    columns: process.stdout.columns || 80,
    ask: (question) => ask(question, signal),
    askHidden: (question) => askHidden(question, signal),
    input: async () => (process.stdin.isTTY ? undefined : buffer(process.stdin)),
    now: Date.now,
    signal,
    env: process.env,
  };
}

async function ask(question: string, signal: AbortSignal): Promise<string> {
  using lines = createInterface({ input: process.stdin, output: process.stdout });
  // The end of the input and an interrupt are an empty answer: it agrees to nothing.
  const ended = new Promise<undefined>((resolve) => lines.once("close", () => resolve(undefined)));
  const answer = await Promise.race([lines.question(question, { signal }).catch(() => undefined), ended]);
  if (answer === undefined) process.stdout.write("\n");
  return answer ?? "";
}

async function askHidden(question: string, signal: AbortSignal): Promise<string> {
  process.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  // In terminal mode it is the interface that shows what is typed, and not the terminal.
  using lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  // It takes Ctrl-C for itself.
  const ended = new Promise<string>((resolve) => {
    for (const end of ["SIGINT", "close"] as const) lines.once(end, () => resolve(""));
  });
  const answer = await Promise.race([lines.question("", { signal }).catch(() => ""), ended]);
  process.stderr.write("\n");
  return answer;
}
