// The only place where the agent starts programs. Every command and its output goes to the step's log, so
// that an operator can repeat it by hand.
import { spawn } from "node:child_process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

export type RunOptions = {
  /** What comes piece by piece is read as the program takes it; when it throws, the program is ended. */
  input?: string | Uint8Array | AsyncIterable<Uint8Array>;
  env?: Record<string, string>;
  cwd?: string;
  /** Milliseconds; 5 minutes if absent, Infinity for none. The program's whole process group is killed then. */
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

/** A program that could not be started, failed, or took too long. The message names it and its last words. */
export class CommandError extends Error {
  override name = "CommandError";
  readonly code: number;

  constructor(message: string, code: number) {
    super(message);
    this.code = code;
  }
}

const defaultTimeoutMs = 5 * 60_000;
/** How long outputs are read after the program has ended. */
const lingerMs = 2_000;
/** Longer lines are logged in pieces. */
const lineLimit = 64 << 10;
/** What one command may keep in memory of each output; the log has it all. */
const captureLimit = 4 << 20;

/** A runner whose commands and output go to `log`. */
export function createRunner(log: LogSink): Runner {
  return (argv, options = {}) =>
    new Promise((resolve, reject) => {
      const [program, ...args] = argv;
      const shown = argv.map(quote).join(" ");
      log(`$ ${shown}`);
      const child = spawn(program, args, {
        stdio: ["pipe", "pipe", "pipe"],
        detached: true,
        cwd: options.cwd,
        env: { ...process.env, LC_ALL: "C", ...options.env },
      });
      // A daemon that the program leaves behind may hold its outputs open for ever.
      let lingering: NodeJS.Timeout | undefined;
      let ended = "";
      const end = (why: string) => {
        ended ||= why;
        if (child.pid) killGroup(child.pid);
      };
      const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
      const timer = Number.isFinite(timeoutMs)
        ? setTimeout(() => end(`took longer than ${timeoutMs / 1000} s`), timeoutMs)
        : undefined;
      const onAbort = () => end("was cancelled");
      options.signal?.addEventListener("abort", onAbort);
      if (options.signal?.aborted) onAbort();
      const stdout = capture(child.stdout, log);
      const stderr = capture(child.stderr, log);
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
        clearTimeout(lingering);
        options.signal?.removeEventListener("abort", onAbort);
      };
      child.on("error", (error) => {
        cleanUp();
        reject(new CommandError(`${program} could not be started: ${error.message}`, -1));
      });
      child.on("exit", () => {
        lingering = setTimeout(() => {
          child.stdout.destroy();
          child.stderr.destroy();
        }, lingerMs);
      });
      child.on("close", (code, signal) => {
        cleanUp();
        const result = { code: code ?? -1, stdout: stdout(), stderr: stderr() };
        if (inputFault) return reject(inputFault);
        if (ended) return reject(new CommandError(`\`${shown}\` ${ended}`, result.code));
        if ((options.okCodes ?? [0]).includes(result.code)) return resolve(result);
        const how = signal ? `was ended by ${signal}` : `failed with exit code ${result.code}`;
        const last = lastLines(result.stderr || result.stdout);
        reject(new CommandError(`\`${shown}\` ${how}${last ? `: ${last}` : ""}`, result.code));
      });
    });
}

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^(EPIPE|ERR_STREAM_)/.test(String(error.code));
}

function capture(stream: NodeJS.ReadableStream, log: LogSink): () => string {
  let text = "";
  let line = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    if (text.length < captureLimit) text += chunk;
    const lines = (line + chunk).split("\n");
    line = lines.pop() ?? "";
    for (const whole of lines) log(whole);
    if (line.length > lineLimit) {
      log(line);
      line = "";
    }
  });
  const flush = () => {
    if (line) log(line);
    line = "";
  };
  stream.on("end", flush);
  stream.on("close", flush); // without an end when it was destroyed
  return () => text;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-3).join(" | ").slice(-500);
}

/** As a shell would need it, so that the log can be pasted. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
