// Asks the daemon for a certificate until it gives one, and tells the person at the console what to approve.
import type { JoinBundle } from "../proto/gen/muster/v1/agent_pb.ts";
import { type Enrolled, EnrollService, type Pending } from "../proto/gen/muster/v1/agent_pb.ts";
import type { Inventory } from "../proto/gen/muster/v1/inventory_pb.ts";
import type { Fingerprint } from "../proto/gen/muster/v1/node_pb.ts";
import type { Connection } from "../proto/rpc/client.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { Backoff } from "./backoff.ts";
import type { Print } from "./console.ts";
import { pause, type Timers } from "./timers.ts";

export type EnrollOptions = {
  connect(): Pick<Connection, "client" | typeof Symbol.dispose>;
  bundle: Pick<JoinBundle, "joinToken" | "enrollAddress">;
  /** PEM. */
  csr: string;
  fingerprint: Fingerprint;
  inventory: Inventory;
  print: Print;
  signal: AbortSignal;
  timers: Timers;
  backoff?: Backoff;
};

const defaultRetryMs = 5_000;
/** The code is shown again this often, because a console scrolls. */
const reminderMs = 60_000;

/** Returns when there is a certificate. */
export async function enroll(options: EnrollOptions): Promise<Enrolled> {
  const { bundle, csr, fingerprint, inventory, print, signal, timers, backoff = new Backoff() } = options;
  const request = { joinToken: bundle.joinToken, csr, fingerprint, inventory };
  const announce = announcer(print, timers);
  let lastFailure = "";
  while (true) {
    signal.throwIfAborted();
    try {
      using connection = options.connect();
      const { outcome } = await connection.client(EnrollService).enroll(request, { signal });
      backoff.reset();
      lastFailure = "";
      if (outcome.case === "enrolled") return outcome.value;
      if (outcome.case !== "pending") throw new Error("the daemon's answer has neither certificate nor code");
      announce(outcome.value);
      await pause(timers, retryDelayMs(outcome.value), signal);
    } catch (error) {
      signal.throwIfAborted();
      const failure = explain(error, bundle.enrollAddress);
      if (failure !== lastFailure) print(failure);
      lastFailure = failure;
      await pause(timers, backoff.next(), signal);
    }
  }
}

function retryDelayMs({ retryDelay }: Pending): number {
  if (!retryDelay) return defaultRetryMs;
  return Number(retryDelay.seconds) * 1000 + retryDelay.nanos / 1e6 || defaultRetryMs;
}

function announcer(print: Print, timers: Timers): (pending: Pending) => void {
  let shown = "";
  let shownAt = 0;
  return ({ node, approvalCode }) => {
    const key = `${node} ${approvalCode}`;
    if (key === shown && timers.now() - shownAt < reminderMs) return;
    shown = key;
    shownAt = timers.now();
    const lines = [
      `This machine asks to join as node ${node}.`,
      `Approval code:  ${approvalCode}`,
      `approve with: muster approve ${node}`,
    ];
    const width = Math.max(...lines.map((line) => line.length));
    print(`+-${"-".repeat(width)}-+`);
    for (const line of lines) print(`| ${line.padEnd(width)} |`);
    print(`+-${"-".repeat(width)}-+`);
  };
}

function explain(error: unknown, address: string): string {
  const { code, message } = RpcError.from(error);
  const failed = `the daemon at ${address} did not let this machine ask to join: ${message}`;
  if (code === codes.UNAUTHENTICATED) return `${failed}; boot again to get a fresh join token. Still trying`;
  if (code === codes.UNAVAILABLE)
    return `the daemon at ${address} cannot be reached: ${message}. Still trying`;
  return `${failed}. Still trying`;
}
