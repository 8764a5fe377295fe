// `muster daemon`: options, start, signals. Exit codes: 0 stopped, 1 failed, 2 wrong options, and those of the state.
import { CommanderError } from "commander";
import { pino } from "pino";
import { ConfigError, readConfig } from "./config.ts";
import { startDaemon } from "./daemon.ts";
import { stateExitCode } from "./state/errors.ts";

const stopped = new Promise<string>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve(signal));
});

try {
  const config = readConfig(process.argv.slice(2), process.env);
  const log = pino({ level: process.env.MUSTER_LOG ?? "info" });
  const daemon = await startDaemon(config, log);
  process.stderr.write(`muster daemon is ready: ${daemon.socketPath}\n`);
  const end = await Promise.race([stopped, daemon.failed]);
  // Whatever hangs while it is taken down must not keep it.
  setTimeout(() => process.exit(1), 10_000).unref();
  if (end instanceof Error) {
    process.stderr.write(`muster daemon: ${end.message}\n`);
    process.exitCode = stateExitCode(end) ?? 1;
  }
  try {
    await daemon[Symbol.asyncDispose]();
  } catch (error) {
    // A state that cannot be written cannot be closed well either; why is said already.
    if (!(end instanceof Error)) throw error;
  }
} catch (error) {
  // Commander has said already what is wrong.
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  process.stderr.write(`muster daemon: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = error instanceof ConfigError ? 2 : (stateExitCode(error) ?? 1);
}
