// Commands that operators have this machine run, beside any step. They belong to one session with the daemon: what
// they print goes out with its messages, and what still runs when it ends is ended.
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { RunCommand } from "../proto/gen/muster/v1/agent_pb.ts";
import type { Outgoing } from "./outbox.ts";
import { endGroup } from "./process-group.ts";

const commandLimit = 32;
/** Output of one command that waits to be sent; with more than that its pipes are not read. */
const waitingLimit = 256 << 10;
const messageLimit = 64 << 10;
/** How long outputs are read after the program has ended: what it leaves behind may hold them open for ever. */
const lingerMs = 500;
/** As shells have it, for a program that cannot be started. */
const notStarted = 127;

/** As in shells, the program that does nothing: no process is started for it. */
const noop = ":";

type Piece = { error: boolean; content: Buffer };
type Exit = { exitCode: number; reason: string };

type Running = {
  id: string;
  child: ChildProcess | undefined;
  /** Bytes that may yet be sent; what comes beyond them is counted and dropped. */
  left: number;
  dropped: number;
  pieces: Piece[];
  waiting: number;
  /** Why it was ended from outside; empty if it was not. */
  ended: string;
  exit: Exit | undefined;
  stopTimers: () => void;
};

export class Commands {
  readonly #wake: () => void;
  readonly #running = new Map<string, Running>();
  #over = false;

  /** `wake`: there is something to send. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  run({ id, argv, timeout, outputLimit }: RunCommand): void {
    if (this.#over || this.#running.has(id)) return;
    const running: Running = {
      id,
      child: undefined,
      left: Number(outputLimit),
      dropped: 0,
      pieces: [],
      waiting: 0,
      ended: "",
      exit: undefined,
      stopTimers: () => {},
    };
    const isTooMany = this.#running.size >= commandLimit;
    this.#running.set(id, running);
    // Asks only whether somebody is there.
    if (argv[0] === noop) {
      this.#finish(running, { exitCode: 0, reason: "" });
      return;
    }
    if (isTooMany)
      this.#finish(running, { exitCode: -1, reason: `${commandLimit} commands run here already` });
    else this.#start(running, argv, timeout);
  }

  cancel(id: string): void {
    const running = this.#running.get(id);
    if (running) stop(running, "was cancelled");
  }

  /** The session is over: nobody hears of what still runs. */
  end(): void {
    this.#over = true;
    for (const running of this.#running.values()) {
      running.pieces = [];
      stop(running, "the session with the daemon has ended");
      running.child?.stdout?.resume();
      running.child?.stderr?.resume();
    }
    this.#running.clear();
  }

  /** The next message to send: output first, and when there is no more of it the exit. */
  next(): Outgoing | undefined {
    for (const running of this.#running.values()) {
      if (running.pieces.length) {
        // Those after it have their turn before it has the next.
        this.#running.delete(running.id);
        this.#running.set(running.id, running);
        return { message: { case: "commandOutput", value: { id: running.id, ...this.#take(running) } } };
      }
      if (running.exit) {
        this.#running.delete(running.id);
        const { id, exit, dropped } = running;
        return { message: { case: "commandExit", value: { id, ...exit, droppedBytes: BigInt(dropped) } } };
      }
    }
    return undefined;
  }

  #start(running: Running, argv: string[], timeout: Duration | undefined): void {
    const [program = "", ...args] = argv;
    let child: ChildProcess;
    try {
      child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    } catch (error) {
      // Such as an argument with a zero byte in it.
      this.#finish(running, { exitCode: notStarted, reason: `could not be started: ${messageOf(error)}` });
      return;
    }
    running.child = child;
    const timeoutMs = timeout ? durationMs(timeout) : 60_000;
    const timer = setTimeout(() => stop(running, `took longer than ${timeoutMs / 1000} s`), timeoutMs);
    let lingering: NodeJS.Timeout | undefined;
    running.stopTimers = () => {
      clearTimeout(timer);
      clearTimeout(lingering);
    };
    child.stdout?.on("data", (content: Buffer) => this.#output(running, { error: false, content }));
    child.stderr?.on("data", (content: Buffer) => this.#output(running, { error: true, content }));
    child.on("error", (error) =>
      this.#finish(running, { exitCode: notStarted, reason: `could not be started: ${error.message}` }),
    );
    const linger = () => {
      // What waits in the pipes because more is not read yet is not lost.
      if (running.waiting > waitingLimit) lingering = setTimeout(linger, lingerMs);
      else closeOutputs(running);
    };
    child.on("exit", () => {
      lingering = setTimeout(linger, lingerMs);
    });
    child.on("close", (code, signal) => this.#finish(running, exitOf(running, code, signal)));
  }

  #output(running: Running, { error, content }: Piece): void {
    if (this.#over) return;
    const kept = content.subarray(0, running.left);
    running.left -= kept.length;
    running.dropped += content.length - kept.length;
    if (kept.length === 0) return;
    running.pieces.push({ error, content: kept });
    running.waiting += kept.length;
    if (running.waiting > waitingLimit) {
      running.child?.stdout?.pause();
      running.child?.stderr?.pause();
    }
    this.#wake();
  }

  /** What one message can hold of the oldest output, of one of the two streams. */
  #take(running: Running): Piece {
    const error = running.pieces[0]?.error ?? false;
    const taken: Buffer[] = [];
    let room = messageLimit;
    for (let [piece] = running.pieces; piece && piece.error === error && room > 0; [piece] = running.pieces) {
      taken.push(piece.content.subarray(0, room));
      if (piece.content.length <= room) running.pieces.shift();
      else running.pieces[0] = { error, content: piece.content.subarray(room) };
      room -= Math.min(room, piece.content.length);
    }
    const content = taken.length === 1 && taken[0] ? taken[0] : Buffer.concat(taken);
    running.waiting -= content.length;
    if (running.waiting <= waitingLimit) {
      running.child?.stdout?.resume();
      running.child?.stderr?.resume();
    }
    return { error, content };
  }

  #finish(running: Running, exit: Exit): void {
    running.stopTimers();
    if (running.exit) return;
    running.exit = exit;
    if (!this.#over) this.#wake();
  }
}

/** Ends its whole process group, kindly first. */
function stop(running: Running, why: string): void {
  if (running.ended || running.exit) return;
  running.ended = why;
  const pid = running.child?.pid;
  if (pid === undefined) return;
  void endGroup(pid);
}

function closeOutputs({ child }: Running): void {
  child?.stdout?.destroy();
  child?.stderr?.destroy();
}

function exitOf({ ended }: Running, code: number | null, signal: NodeJS.Signals | null): Exit {
  if (ended) return { exitCode: -1, reason: ended };
  if (signal) return { exitCode: 128 + constants.signals[signal], reason: `was ended by ${signal}` };
  return { exitCode: code ?? -1, reason: "" };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
