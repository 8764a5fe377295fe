// A daemon in the test's own process, behind its real sockets: a small cluster is declared, and no machine is
// there, so that deployments start and wait.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { readConfig } from "../../daemon/config.ts";
import { startDaemon } from "../../daemon/daemon.ts";
import { planState } from "../../daemon/domain/plan-fixture.ts";
import type { Change } from "../../daemon/domain/state.ts";
import { openDatabase } from "../../daemon/state/open.ts";
import { Store } from "../../daemon/state/store.ts";
import { connect, type Muster } from "../../proto/client/connect.ts";

export type TestDaemon = AsyncDisposable & {
  muster: Muster;
  socket: string;
  stateDir: string;
  /** Stops the daemon and starts it again on the same state. */
  restart(): Promise<void>;
  stop(): Promise<void>;
};

/** Nodes n1 and n2 with their hardware, and an image; and whatever else is wanted. */
export async function startTestDaemon(more: Change[] = [], ...options: string[]): Promise<TestDaemon> {
  const stateDir = await mkdtemp(join(tmpdir(), "muster-api-"));
  await seed(stateDir, [...[...planState().resources()].map((put) => ({ put })), ...more]);
  const ports = [
    "--http-port",
    "0",
    "--enroll-port",
    "0",
    "--agent-port",
    "0",
    "--delivery-port",
    "0",
    "--delivery-http-port",
    "0",
  ];
  const config = readConfig(["--state-dir", stateDir, ...ports, ...options], {});
  const start = () => startDaemon(config, pino({ level: "silent" }));
  let daemon = await start();
  const socket = daemon.socketPath;
  const muster = connect({ socket });
  return {
    muster,
    socket,
    stateDir,
    stop: async () => daemon[Symbol.asyncDispose](),
    restart: async () => {
      await daemon[Symbol.asyncDispose]();
      daemon = await start();
    },
    [Symbol.asyncDispose]: async () => {
      muster[Symbol.dispose]();
      await daemon[Symbol.asyncDispose]();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}

async function seed(stateDir: string, changes: Change[]): Promise<void> {
  await using store = await Store.open(await openDatabase(join(stateDir, "db")));
  for (const change of changes) store.state.apply(change);
  await store.commit(store.number(changes, store.revision + 1n));
}
