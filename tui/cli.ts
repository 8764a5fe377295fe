// The verbs and their options: parses, connects, runs one verb and turns what it throws into an exit code.
import { Argument, Command, CommanderError, Option } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { createOperator, type Operator, openOperator, socketPath } from "./client.ts";
import { errorLines, exitCode, exitCodeOf } from "./errors.ts";
import type { Io } from "./io.ts";
import { apply } from "./verbs/apply.ts";
import { deploy, plan, retry, stop, wait } from "./verbs/deploy.ts";
import { describe } from "./verbs/describe.ts";
import { events } from "./verbs/events.ts";
import { get, type Kind, kinds } from "./verbs/get.ts";
import { logs } from "./verbs/logs.ts";
import { approve, type PowerVerb, power, powerVerbs } from "./verbs/nodes.ts";
import { overview } from "./verbs/overview.ts";

/** Opens the screens; passed in, so that no verb pays for loading them. */
export type OpenTui = (operator: Operator, io: Io) => Promise<number>;

type Verb = (operator: Operator, io: Io) => Promise<number>;

const notes = `
Without a verb, in a terminal: opens the screens. Off a terminal: prints the overview.
Elsewhere:
  muster daemon   runs the daemon
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
  addMachines(program, connected);
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.refused;
    for (const line of errorLines(error)) io.err(line);
    return exitCodeOf(error);
  }
}

type Connected = (verb: Verb) => Promise<void>;

const kindArgument = () =>
  new Argument("<kind>", "node(s), cluster(s), image(s) or deployment(s)")
    .choices([...kinds, ...kinds.map((kind) => kind.slice(0, -1))])
    .argOptional();

const output = () => new Option("-o, --output <format>", "json instead of text").choices(["json"]);

function plural(kind: string): Kind {
  return kinds.find((known) => known === kind || known === `${kind}s`) ?? "nodes";
}

function addReading(program: Command, connected: Connected): void {
  program
    .command("get")
    .description("list nodes, clusters, images or deployments")
    .addArgument(kindArgument().argRequired())
    .argument("[name]")
    .addOption(output())
    .action((kind: string, name: string | undefined, options) =>
      connected((operator, io) => get(operator, io, plural(kind), name, options)),
    );
  program
    .command("describe")
    .description("everything about one node, cluster, image or deployment")
    .addArgument(kindArgument().argRequired())
    .argument("<name>")
    .action((kind: string, name: string) =>
      connected((operator, io) => describe(operator, io, plural(kind), name)),
    );
  program
    .command("logs")
    .description("the log of a step, or of all steps of a deployment")
    .argument("<name>", "DEPLOYMENT/NODE/TASK, CLUSTER/NODE/TASK for the newest, DEPLOYMENT or CLUSTER")
    .option("-f, --follow", "go on until the step or deployment has ended")
    .action((name: string, options) => connected((operator, io) => logs(operator, io, name, options)));
  program
    .command("events")
    .description("what has happened")
    .option("-w, --watch", "and what happens, until interrupted")
    .action((options) => connected((operator, io) => events(operator, io, options)));
}

function addDeploying(program: Command, connected: Connected): void {
  program
    .command("apply")
    .description("check manifests and store them, all or nothing")
    .requiredOption("-f, --file <path...>", "files, or directories of *.yaml files")
    .option("--dry-run", "check and say what would change, store nothing")
    .action((options) => connected((operator, io) => apply(operator, io, options.file, options)));
  program
    .command("plan")
    .description("what a deployment would destroy and create on every node, and in which order")
    .argument("<cluster>")
    .addOption(output())
    .action((cluster: string, options) => connected((operator, io) => plan(operator, io, cluster, options)));
  program
    .command("deploy")
    .description("deploy a cluster: shows what is destroyed, asks, then follows to the end")
    .argument("<cluster>")
    .option("--yes", "agree to the plan without being asked")
    .option("--plan-hash <hash>", "refuse if the plan is not this one")
    .option("--wait", "follow until it has ended", true)
    .option("--no-wait", "return when it has started")
    .action((cluster: string, options) =>
      connected((operator, io) => deploy(operator, io, cluster, options)),
    );
  program
    .command("retry")
    .description("try the failed steps of a deployment again; what succeeded is kept")
    .argument("<name>", "a deployment, or a cluster for its newest")
    .option("--wait", "follow until it has ended")
    .action((name: string, options) => connected((operator, io) => retry(operator, io, name, options)));
  program
    .command("stop")
    .description("start no further step; running steps finish")
    .argument("<name>", "a deployment, or a cluster for its newest")
    .action((name: string) => connected((operator, io) => stop(operator, io, name)));
  program
    .command("wait")
    .description("follow a deployment until it has ended; exit code 0 if it succeeded")
    .argument("<name>", "a deployment, or a cluster for its newest")
    .action((name: string) => connected((operator, io) => wait(operator, io, name)));
}

function addMachines(program: Command, connected: Connected): void {
  program
    .command("approve")
    .description("let a node that awaits approval join")
    .argument("[node]")
    .option("--code <code>", "the code that the node's own console shows")
    .option("--all", "every node that waits")
    .action((name: string | undefined, options) =>
      connected((operator, io) => approve(operator, io, name, options)),
    );
  program
    .command("power")
    .description("switch a node on or off, or say which it is")
    .addArgument(new Argument("<action>").choices(powerVerbs))
    .argument("<node>")
    .action((verb: PowerVerb, name: string) => connected((operator, io) => power(operator, io, verb, name)));
}
