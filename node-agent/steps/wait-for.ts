// Looks until a port takes connections, an address answers, a file is there, or a command succeeds. The step's own
// limit ends it.
import { access } from "node:fs/promises";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { CommandError } from "../runner.ts";
import type { ActionOf, Step, StepContext } from "../step.ts";
import { taskEnvironment } from "../task-environment.ts";
import { templatesOf } from "../template.ts";

const defaultEveryMs = 2_000;
/** How long one look may take. */
const lookMs = 10_000;
/** Ports of a machine that is off do not answer at all. */
const loggedEveryMs = 30_000;

/** `look`: says why it is not so yet, or nothing if it is. */
type Waiting = { what: string; look(signal: AbortSignal): Promise<string> };

export const waitFor: Step<"waitFor"> = async (action, context) => {
  const { log, progress, signal, check } = context;
  const { what, look } = await waitingFor(action, context);
  const everyMs = Math.max(50, milliseconds(action.every) ?? defaultEveryMs);
  const started = performance.now();
  let logged = "";
  let loggedAt = -Infinity;
  log(`waits for ${what}`);
  for (;;) {
    const why = await look(AbortSignal.any([signal, AbortSignal.timeout(lookMs)]));
    signal.throwIfAborted();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (!why) return { result: `${what}: it is so after ${seconds} s`, outcome: TaskOutcome.OK };
    if (check) return { result: `${what}: it would wait, as ${why}`, outcome: TaskOutcome.OK };
    progress({ activity: `waits for ${what}: ${why}` });
    if (why !== logged || performance.now() - loggedAt > loggedEveryMs) {
      log(`after ${seconds} s: ${why}`);
      logged = why;
      loggedAt = performance.now();
    }
    await delay(everyMs, undefined, { signal });
  }
};

async function waitingFor({ what }: ActionOf<"waitFor">, context: StepContext): Promise<Waiting> {
  const { render } = await templatesOf(context);
  const wanted = render(what.case ?? "wait_for", what.value ?? "");
  switch (what.case) {
    case "port":
      return { what: `port ${wanted}`, look: portLook(wanted) };
    case "http":
      return { what: wanted, look: (signal) => httpLook(wanted, signal) };
    case "file":
      return { what: `file ${wanted}`, look: () => fileLook(wanted) };
    case "command": {
      const env = await taskEnvironment(context);
      return { what: `\`${wanted}\``, look: () => commandLook(wanted, env, context) };
    }
    default:
      throw new Error("wait_for says nothing to wait for; update the agent's image");
  }
}

function portLook(wanted: string): Waiting["look"] {
  const [, bracketed, plain, port = ""] = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(wanted) ?? [];
  const host = bracketed ?? plain ?? "";
  if (!host || Number(port) > 65_535) {
    throw new Error(`wait_for.port is \`${wanted}\`, and must be HOST:PORT, such as 10.0.0.5:3306`);
  }
  return (signal) =>
    new Promise((resolve) => {
      const socket = connect({ host, port: Number(port), signal });
      const done = (why: string) => {
        socket.destroy();
        resolve(why);
      };
      socket.on("connect", () => done(""));
      socket.on("error", (error) => done(signal.aborted ? "it does not answer" : reasonOf(error)));
    });
}

async function httpLook(address: string, signal: AbortSignal): Promise<string> {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new Error(`wait_for.http is \`${address}\`, and must be an address such as http://10.0.0.5/health`);
  }
  try {
    const response = await fetch(url, { signal, redirect: "follow" });
    await response.body?.cancel();
    return response.status < 400 ? "" : `it answers ${response.status} ${response.statusText}`.trim();
  } catch (error) {
    return signal.aborted ? "it does not answer" : reasonOf(error);
  }
}

function fileLook(path: string): Promise<string> {
  return access(path).then(
    () => "",
    () => "it is not there",
  );
}

async function commandLook(
  command: string,
  env: Record<string, string>,
  { run }: StepContext,
): Promise<string> {
  try {
    await run(["/bin/sh", "-e", "-c", command], { env, timeoutMs: Infinity });
    return "";
  } catch (error) {
    if (error instanceof CommandError && error.code >= 0) return `it ends with exit code ${error.code}`;
    throw error;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message;
}

function milliseconds(duration: Duration | undefined): number | undefined {
  return duration && Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
