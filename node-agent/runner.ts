// Where the agent starts the programs of its steps. Every command and its output goes to the step's log, so
// that an operator can repeat it by hand.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { endGroup } from "./process-group.ts";
import { shellQuote } from "./shell-quote.ts";

export type RunOptions = {
  /** What comes piece by piece is read as the program takes it; when it throws, the program is ended. */
  input?: string | Uint8Array | AsyncIterable<Uint8Array>;
  env?: Record<string, string>;
  cwd?: string;
  /** Milliseconds; 5 minutes if absent, Infinity for none. The program's whole process group is ended then. */
  timeoutMs?: number;
  /** Exit codes that are no failure; only 0 if absent. */
  okCodes?: number[];
  signal?: AbortSignal;
};

export type RunResult = { code: number; stdout: string; stderr: string };

/** Starts a program without a shell: `run(["sgdisk", "--zap-all", disk])`. Throws CommandError. */
export type Runner = (argv: readonly [string, ...string[]], options?: RunOptions) => Promise<RunResult>;

/** Takes lines of a log, each without its line end. */
export type LogSink = (line: string) => void;

/** Takes what programs print. */
export type OutputSink = {
  /** Whole lines with their ends. Answers with a promise if the program has to wait for room. */
  write(text: string): Promise<void> | undefined;
  /** Takes out of an endless line what must not be shown, before it is cut. */
  clean(line: string): string;
  /** How many characters at the end of such a line cannot be cleaned before it goes on. */
  readonly overlap: number;
};

/** A program that could not be started, failed, or took too long. The message names it and its last words. */
export class CommandError extends Error {
  override name = "CommandError";
  readonly code: number;
  /** What it had printed, its first part if that was much. */
  readonly output: string;

  constructor(message: string, code: number, output = "") {
    super(message);
    this.code = code;
    this.output = output;
  }
}

const defaultTimeoutMs = 5 * 60_000;
/** How long outputs are read after the program has ended, but for the time that the log has no room. */
const lingerMs = 2_000;
const lingerStepMs = 100;
/** Longer lines are logged in pieces. */
const lineLimit = 64 << 10;
/** What one command may keep in memory of each output; the log has it all. */
const captureLimit = 4 << 20;

/** A runner whose commands go to `log`, and their output to `output`: if absent, to `log` line by line. */
export function createRunner(log: LogSink, output: OutputSink = lineByLine(log)): Runner {
  return (argv, options = {}) =>
    new Promise((resolve, reject) => {
      const [program, ...args] = argv;
      const shown = argv.map(shellQuote).join(" ");
      log(`$ ${shown}`);
      const child = spawn(program, args, {
        stdio: ["pipe", "pipe", "pipe"],
        detached: true,
        cwd: options.cwd,
        env: { ...process.env, LC_ALL: "C", ...options.env },
      });
      let lingering: NodeJS.Timeout | undefined;
      let ended = "";
      let ending: Promise<void> | undefined;
      const end = (why: string) => {
        ended ||= why;
        if (child.pid) ending ??= endGroup(child.pid);
      };
      const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
      const timer = Number.isFinite(timeoutMs)
        ? setTimeout(() => end(`took longer than ${timeoutMs / 1000} s`), timeoutMs)
        : undefined;
      const onAbort = () => end("was cancelled");
      options.signal?.addEventListener("abort", onAbort);
      if (options.signal?.aborted) onAbort();
      const stdout = capture(child.stdout, output);
      const stderr = capture(child.stderr, output);
      child.stdin.on("error", () => {}); // a program may leave its input unread
      let inputFault: unknown;
      const { input = "" } = options;
      if (typeof input === "string" || input instanceof Uint8Array) child.stdin.end(input);
      else {
        pipeline(Readable.from(input, { objectMode: false }), child.stdin).catch((error: unknown) => {
          // Whatever stopped reading says itself why.
          if (isBrokenPipe(error)) return;
          inputFault = error;
          end("got no more input");
        });
      }
      const cleanUp = () => {
        clearTimeout(timer);
        clearInterval(lingering);
        options.signal?.removeEventListener("abort", onAbort);
      };
      child.on("error", (error) => {
        cleanUp();
        const { cwd } = options;
        const why = cwd && !existsSync(cwd) ? `there is no directory ${cwd}` : error.message;
        reject(new CommandError(`${program} could not be started: ${why}`, -1));
      });
      // A daemon that the program leaves behind may hold its outputs open for ever.
      child.on("exit", () => {
        let leftMs = lingerMs;
        lingering = setInterval(() => {
          if (!ended && (stdout.waits || stderr.waits)) return;
          leftMs -= lingerStepMs;
          if (leftMs > 0) return;
          child.stdout.destroy();
          child.stderr.destroy();
        }, lingerStepMs);
      });
      child.on("close", async (code, signal) => {
        cleanUp();
        await ending;
        const result = { code: code ?? -1, stdout: stdout.text, stderr: stderr.text };
        if (inputFault) return reject(inputFault);
        if (ended) return reject(new CommandError(`\`${shown}\` ${ended}`, result.code));
        if ((options.okCodes ?? [0]).includes(result.code)) return resolve(result);
        const how = signal ? `was ended by ${signal}` : `failed with exit code ${result.code}`;
        const last = lastLines(result.stderr || result.stdout);
        const message = `\`${shown}\` ${how}${last ? `: ${last}` : ""}`;
        reject(new CommandError(message, result.code, result.stdout + result.stderr));
      });
    });
}

function lineByLine(log: LogSink): OutputSink {
  return {
    write(text) {
      for (const line of text.slice(0, -1).split("\n")) log(line);
      return undefined;
    },
    clean: (line) => line,
    overlap: 0,
  };
}

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^(EPIPE|ERR_STREAM_)/.test(String(error.code));
}

/** What a program prints on one of its outputs, and whether it has to wait. */
type Captured = { text: string; waits: boolean };

function capture(stream: NodeJS.ReadableStream, output: OutputSink): Captured {
  const captured = { text: "", waits: false };
  let line = "";
  const write = async (text: string) => {
    const room = output.write(text);
    if (!room) return;
    captured.waits = true;
    stream.pause();
    await room;
    captured.waits = false;
    stream.resume();
  };
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    if (captured.text.length < captureLimit) captured.text += chunk;
    const end = chunk.lastIndexOf("\n") + 1;
    const whole = end ? line + chunk.slice(0, end) : "";
    line = end ? chunk.slice(end) : line + chunk;
    if (whole) void write(whole);
    if (line.length > lineLimit + output.overlap) {
      line = output.clean(line);
      const cut = line.length - output.overlap;
      void write(`${line.slice(0, cut)}\n`);
      line = line.slice(cut);
    }
  });
  const flush = () => {
    if (line) void write(`${line}\n`);
    line = "";
  };
  stream.on("end", flush);
  stream.on("close", flush); // without an end when it was destroyed
  return captured;
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-3).join(" | ").slice(-500);
}
