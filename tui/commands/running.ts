// Verbs on the fleet as a whole, outside of any deployment.
import { type Command, InvalidArgumentError } from "commander";
import { assign } from "../verbs/assign.ts";
import { type RunOptions, runCommand } from "../verbs/run.ts";
import { type Connected, json, output, selector } from "./connected.ts";

export function addRunning(program: Command, connected: Connected): void {
  program
    .command("run")
    .description("run a command on many nodes at once; what they say is grouped by what is the same")
    .usage("-l <nodes> [options] -- <command> [argument...]")
    .argument("<command...>", "a program and its arguments, without a shell")
    .addOption(selector().makeOptionMandatory())
    .option("--batch <count>", "at most so many nodes at once; all of them if absent", count)
    .option("--timeout <time>", "on each node, such as 30s or 10m; a minute if absent")
    .option("--yes", "also on every node, by -l '*'")
    .addOption(output())
    .addOption(json())
    .action((argv: string[], options: RunOptions) =>
      connected((operator, io) => runCommand(operator, io, argv, options)),
    );
  program
    .command("assign")
    .description(
      "propose nodes for the roles that a cluster wants, say why, and give it these nodes; asks first",
    )
    .argument("<cluster>")
    .option("--plan", "only show the proposal")
    .option("--yes", "agree to it without being asked")
    .addOption(output())
    .addOption(json())
    .action((cluster: string, options) =>
      connected((operator, io) => assign(operator, io, cluster, options)),
    );
}

function count(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is a number of nodes.");
}
