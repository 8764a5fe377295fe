// One conversation with QEMU's machine protocol: JSON lines over a unix socket, every wait bounded.
import { createConnection, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { PowerError } from "../../domain/ports.ts";
import { errorCode } from "../files.ts";

type Reply = { QMP?: unknown; event?: string; return?: unknown; error?: { class: string; desc: string } };
type Waiting = { resolve: (value: unknown) => void; reject: (error: Error) => void };

/** QEMU serves one client at a time: hold a connection for one operation only. */
export class QmpConnection implements Disposable {
  readonly #path: string;
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  #waiting: Waiting | undefined;
  #failure: Error | undefined;

  static async open(path: string, timeoutMs: number): Promise<QmpConnection> {
    const connection = new QmpConnection(path, timeoutMs);
    try {
      await connection.#answer("the greeting");
      await connection.execute("qmp_capabilities");
      return connection;
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  private constructor(path: string, timeoutMs: number) {
    this.#path = path;
    this.#timeoutMs = timeoutMs;
    this.#socket = createConnection(path);
    this.#socket.on("error", (error) =>
      this.#fail(new PowerError(connectMessage(path, error), { cause: error })),
    );
    this.#socket.on("close", () =>
      this.#fail(new PowerError(`QMP socket ${path}: QEMU hung up; see whether the machine still runs`)),
    );
    const lines = createInterface({ input: this.#socket });
    lines.on("line", (line) => this.#receive(line));
    // The socket reports its own errors; readline repeats them.
    lines.on("error", () => {});
  }

  async execute(command: string, args?: Record<string, unknown>): Promise<unknown> {
    const answer = this.#answer(command);
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    return await answer;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #answer(awaited: string): Promise<unknown> {
    if (this.#failure) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => this.#fail(new PowerError(this.#silence(awaited))), this.#timeoutMs);
    this.#waiting = { resolve, reject };
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
    }
  }

  #silence(awaited: string): string {
    return (
      `QMP socket ${this.#path}: no answer to ${awaited} within ${this.#timeoutMs / 1000} s; ` +
      "QEMU hangs, or another client holds the socket (QEMU serves one at a time): end that client and try again"
    );
  }

  #receive(line: string): void {
    let reply: Reply;
    try {
      reply = JSON.parse(line);
    } catch {
      this.#fail(
        new PowerError(`QMP socket ${this.#path}: not QMP: ${line.slice(0, 80)}; give QEMU's -qmp socket`),
      );
      return;
    }
    if (reply.event) return;
    if (reply.error) {
      this.#waiting?.reject(
        new PowerError(`QMP socket ${this.#path}: ${reply.error.desc}${remedy(reply.error.class)}`),
      );
      return;
    }
    this.#waiting?.resolve(reply.return);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
  }
}

function remedy(errorClass: string): string {
  if (errorClass !== "DeviceNotFound") return "";
  return "; power.qmp must name NIC and disks by the id= of QEMU's -device";
}

function connectMessage(path: string, error: Error): string {
  const remedies: Record<string, string> = {
    ENOENT: "there is no such socket; start the machine's QEMU with -qmp unix:PATH,server=on,wait=off",
    ECONNREFUSED: "nobody listens; the machine's QEMU has ended, start it again",
    EACCES: "permission denied; run the daemon as the user that runs QEMU, or as root",
    ENOTSOCK: "it is not a socket; give the path of QEMU's -qmp socket",
  };
  return `QMP socket ${path}: ${remedies[errorCode(error) ?? ""] ?? error.message}`;
}
