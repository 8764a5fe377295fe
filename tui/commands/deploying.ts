// Verbs on manifests, deployments and the state as a whole.
import { Argument, type Command, Option } from "commander";
import { expandNodes } from "../../proto/filter/node-list.ts";
import { drawnNodes } from "../plan-text.ts";
import { apply } from "../verbs/apply.ts";
import { backup } from "../verbs/backup.ts";
import { type Deletable, deletable, remove } from "../verbs/delete.ts";
import { deploy, plan, release } from "../verbs/deploy.ts";
import { go, hold, resume, retry, stop } from "../verbs/steer.ts";
import { wait } from "../verbs/wait.ts";
import { type Connected, json, selector } from "./connected.ts";

const deployment = "a deployment, or a cluster for its newest";
const stepNames = "NODE/TASK, or TASK for that of every node";

export function addDeploying(program: Command, connected: Connected): void {
  addStarting(program, connected);
  addSteering(program, connected);
  program
    .command("apply")
    .description("check manifests and store them, with the files beside them that tasks name, all or nothing")
    .requiredOption("-f, --file <path...>", "files, or directories of *.yaml files")
    .option("--dry-run", "check and say what would change, store nothing")
    .action((options) => connected((operator, io) => apply(operator, io, options.file, options)));
  program
    .command("delete")
    .description("forget a node, cluster, image, role, scheme, task, graph or mirror; asks first")
    .addArgument(new Argument("<kind>").choices(deletable))
    .argument("<name>")
    .option("--yes", "delete it without being asked")
    .action((kind: Deletable, name: string, options) =>
      connected((operator, io) => remove(operator, io, kind, name, options)),
    );
  program
    .command("backup")
    .description("write the whole state to a file, for `muster restore`; not images and logs")
    .argument("<file>")
    .option("--force", "overwrite the file")
    .action((file: string, options) => connected((operator, io) => backup(operator, io, file, options)));
}

function addStarting(program: Command, connected: Connected): void {
  const planning = program
    .command("plan")
    .description("what a deployment would destroy and create on every node, and in which order")
    .argument("<cluster>");
  selecting(planning)
    .option(
      "--pictures",
      `draw every node's disks; without it those of up to ${drawnNodes} nodes, and tables of more`,
    )
    .addOption(
      new Option("-o, --output <format>", "instead of text; svg: all disks before and after").choices([
        "json",
        "yaml",
        "svg",
      ]),
    )
    .addOption(json())
    .addOption(
      new Option("--show-commands", "the commands that each node would run on its disks").conflicts([
        "output",
        "json",
        "pictures",
      ]),
    )
    .action((cluster: string, options) => connected((operator, io) => plan(operator, io, cluster, options)));
  const starting = (name: string, description: string) =>
    program
      .command(name)
      .description(description)
      .argument("<cluster>")
      .option("--yes", "agree to the plan without being asked")
      .option("--plan-hash <hash>", "refuse if the plan is not this one")
      .option("--hold <step>", `a step that waits for \`muster go\`: ${stepNames}`, collect)
      .option("--wait", "follow until it has ended", true)
      .option("--no-wait", "return when it has started");
  selecting(
    starting(
      "deploy",
      "deploy what has changed of a cluster: shows what is destroyed, asks, follows to the end",
    ),
  )
    .addOption(new Option("-o, --output <format>", "with --noop: the changes as JSON").choices(["json"]))
    .addOption(json())
    .action((cluster: string, options) =>
      connected((operator, io) => deploy(operator, io, cluster, options)),
    );
  starting(
    "release",
    "wipe nodes of a cluster and set them free: shows which disks, asks, follows to the end",
  )
    .argument(
      "[node...]",
      "names, and lists such as n[1-3]; all that are deployed with the cluster if none is named",
    )
    .addOption(
      new Option("--erase <mode>", "every sector, or metadata only; as the cluster says if absent").choices([
        "metadata",
        "full",
      ]),
    )
    .option("--skip <id>", "leave this disk as it is, by serial or wwn; may be repeated", collect)
    .action((cluster: string, nodes: string[], options) =>
      connected((operator, io) => release(operator, io, cluster, nodes.flatMap(expandNodes), options)),
    );
}

/** Which part of a cluster. */
function selecting(command: Command): Command {
  return command
    .option("--all", "everything anew, not only what has changed")
    .option("--graph <names>", "this graph, or several one after the other; `default` if absent", collect)
    .option("--tasks <names>", "only these tasks: names, groups or /REGULAR EXPRESSION/", collect)
    .option("--nodes <names>", "only on these nodes, such as n1,n[4-7]", collect)
    .addOption(selector().conflicts("nodes"))
    .option("--from <task>", "only from this task on, in the order of the plan")
    .option("--until <task>", "only up to this task, in the order of the plan")
    .option("--failed", "only what failed, or was not reached, in the newest deployment")
    .option("--noop", "change nothing: only say what config tasks would change on installed nodes");
}

function addSteering(program: Command, connected: Connected): void {
  program
    .command("retry")
    .description("try failed, cancelled and blocked steps of a deployment again; what succeeded is kept")
    .argument("<name>", deployment)
    .option("--wait", "follow until it has ended")
    .action((name: string, options) => connected((operator, io) => retry(operator, io, name, options)));
  program
    .command("stop")
    .description("start no further step; running steps finish")
    .argument("<name>", deployment)
    .option("--force", "cancel running steps")
    .action((name: string, options) => connected((operator, io) => stop(operator, io, name, options)));
  program
    .command("resume")
    .description("take a stop back, or go on after it; failed steps stay failed")
    .argument("<name>", deployment)
    .option("--wait", "follow until it has ended")
    .action((name: string, options) => connected((operator, io) => resume(operator, io, name, options)));
  program
    .command("hold")
    .description("have steps that have not begun wait for `muster go`")
    .argument("<name>", deployment)
    .argument("<step...>", stepNames)
    .action((name: string, steps: string[]) => connected((operator, io) => hold(operator, io, name, steps)));
  program
    .command("go")
    .description("let held steps start")
    .argument("<name>", deployment)
    .argument("[step...]", `${stepNames}; all that could start now if none is named`)
    .action((name: string, steps: string[]) => connected((operator, io) => go(operator, io, name, steps)));
  program
    .command("wait")
    .description("follow a deployment until it has ended; exit code 0 if it succeeded")
    .argument("<name>", deployment)
    .option("--timeout <time>", "give up after 90s, 10m or 2h, with exit code 1")
    .action((name: string, options) => connected((operator, io) => wait(operator, io, name, options)));
}

function collect(word: string, before: string[] = []): string[] {
  return [...before, word];
}
