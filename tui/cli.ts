// The command line: parses, connects, runs one verb and turns what it throws into an exit code.
import { Command, CommanderError } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { createOperator, type Operator, openOperator, socketPath } from "./client.ts";
import type { Verb } from "./commands/connected.ts";
import { addDeploying } from "./commands/deploying.ts";
import { addFiles } from "./commands/files.ts";
import { addGraphs } from "./commands/graphs.ts";
import { addMachines } from "./commands/machines.ts";
import { addReading } from "./commands/reading.ts";
import { addRunning } from "./commands/running.ts";
import { addSecrets } from "./commands/secrets.ts";
import { errorLines, exitCode, exitCodeOf } from "./errors.ts";
import type { Io } from "./io.ts";
import { overview } from "./verbs/overview.ts";

/** Opens the screens; passed in, so that no verb pays for loading them. */
export type OpenTui = (operator: Operator, io: Io) => Promise<number>;

const notes = `
Without a verb, in a terminal: opens the screens. Off a terminal: prints the overview.
Elsewhere:
  muster daemon   runs the daemon
  muster restore  takes the state out of a backup into a new state directory
  muster agent    runs the agent of a node
  muster image    builds OS images and the bootstrap ramdisk, and tends the image store
  muster lab      brings a rack of virtual machines up or down

Exit codes: 0 done, 1 failed, 2 bad input or refused, 3 daemon not reachable, 130 interrupted.
Environment: MUSTER_STATE_DIR as --state-dir, NO_COLOR for no colours.`;

export async function run(args: string[], io: Io, openTui: OpenTui): Promise<number> {
  const program = new Command("muster")
    .description("Takes machines from power-on to a configured cluster.")
    .option("--state-dir <dir>", "state directory of the daemon (default: /var/lib/muster)")
    .version(packageJson.version, "--version", "say which version this is")
    .addHelpText("after", notes)
    .showHelpAfterError("see muster --help")
    .configureOutput({
      writeOut: (text) => io.out(text.trimEnd()),
      writeErr: (text) => io.err(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error: /, "muster: ")),
    })
    .exitOverride();
  let code: number = exitCode.ok;
  const connected = async (verb: Verb, open = openOperator) => {
    const { stateDir } = program.opts<{ stateDir?: string }>();
    using operator = await open(socketPath(stateDir, io.env));
    code = await verb(operator, io);
  };
  // The argument is only there to say better than "too many arguments" that there is no such verb.
  program.usage("[options] [verb]").argument("[verb]").allowExcessArguments().helpCommand(true);
  program.action((verb: string | undefined) => {
    if (verb) program.error(`error: there is no verb ${verb}`);
    // The screens show by themselves that the daemon is away, and when it is back.
    return io.interactive
      ? connected(openTui, async (socket) => createOperator(socket))
      : connected(overview);
  });
  addReading(program, connected);
  addDeploying(program, connected);
  addGraphs(program, connected);
  addMachines(program, connected);
  addSecrets(program, connected);
  addRunning(program, connected);
  addFiles(program, connected);
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.refused;
    for (const line of errorLines(error)) io.err(line);
    return exitCodeOf(error);
  }
}
