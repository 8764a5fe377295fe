// What a verb may touch of the outside: output, a question to the operator, the clock, the interrupt.
import { createInterface } from "node:readline/promises";

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
  ask(question: string): Promise<string>;
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
    ask: (question) => ask(question, signal),
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
