// A daemon that is killed while a machine of the rack works, and the evidence that nothing was done twice for it.
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Step, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { run } from "./command.ts";
import { ensureDaemon } from "./daemon-process.ts";
import { inNamespace } from "./network.ts";
import type { OneMachine } from "./one-machine.ts";
import { Operator } from "./operator.ts";
import { processBook } from "./rack.ts";
import { stepLog } from "./step-log.ts";

const limitMs = 20 * 60_000;
const awayMs = 4_000;
const pollMs = 100;
const overStates: Step_State[] = [Step_State.SUCCEEDED, Step_State.FAILED, Step_State.BLOCKED];

/** Waits until the step is as far as asked for. */
export async function stepReaches(
  operator: Operator,
  step: string,
  isThere: (step: Step) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const slash = step.indexOf("/");
  const deadline = Date.now() + limitMs;
  while (Date.now() < deadline) {
    const { steps } = await operator.deployments.getDeployment({ name: step.slice(0, slash) });
    const found = steps.find(({ name }) => name === step);
    if (found && isThere(found)) return;
    if (found && overStates.includes(found.state)) {
      throw new Error(`${step} has ended too early: ${found.reason || found.result}`);
    }
    await sleep(pollMs, undefined, { signal });
  }
  throw new Error(`${step} has not come so far within ${limitMs / 60_000} minutes`);
}

/** Kills the daemon with -9, leaves the machine alone for a moment, and starts another. */
export async function killAndRestart({ stateDir, signal }: OneMachine): Promise<Operator> {
  const book = processBook(stateDir);
  const record = book.get("daemon");
  if (!record) throw new Error("the daemon is not on record");
  process.kill(record.pid, "SIGKILL");
  await sleep(awayMs, undefined, { signal });
  if (!(await ensureDaemon(stateDir, book, signal)))
    throw new Error("the daemon still answers after kill -9");
  // A connection of its own: the old one waits before it tries again.
  return new Operator(stateDir);
}

/** What the machine has received over its network so far. */
export async function receivedBytes({ machine }: OneMachine): Promise<bigint> {
  const counter = path.join("/sys/class/net", machine.tap, "statistics/tx_bytes");
  return BigInt((await run(inNamespace(["cat", counter]) as [string, ...string[]])).trim());
}

/** Which attempts of a deployment the machine's console shows to have started, such as `image 1`. */
export function startsOnConsole(console: string, deployment: string, node: string): string[] {
  const line = new RegExp(`muster: ${deployment}/${node}/([a-z-]+): attempt (\\d+) starts`, "g");
  return [...console.matchAll(line)].map(([, task, attempt]) => `${task} ${attempt}`);
}

/** A task that lists the journal of the installed system's agent into its own log. */
export const journalTask = `kind: Task
name: journal
roles: [controller]
requires: [controller-ready]
shell: { command: "ls /var/lib/muster/journal" }
`;

/** Which attempts the agent's journal knows, such as `controller-config 1`, as the task's log shows them. */
export async function startsInJournal(
  operator: Operator,
  deployment: string,
  node: string,
): Promise<string[]> {
  const log = await stepLog(operator, `${deployment}/${node}/journal`);
  const prefix = encodeURIComponent(`${deployment}/${node}/`);
  const entry = new RegExp(`^${prefix}([a-z-]+)%2F(\\d+)@\\d+\\.json$`);
  return log.split("\n").flatMap((line) => {
    const [, task, attempt] = entry.exec(line.trim()) ?? [];
    return task ? [`${task} ${attempt}`] : [];
  });
}
