// Verbs on machines.
import { Argument, type Command } from "commander";
import { maintenance, protect, retire, type Switch, switches } from "../verbs/flags.ts";
import { approve, type PowerVerb, power, powerVerbs } from "../verbs/nodes.ts";
import type { Connected } from "./connected.ts";

const nodes = "a node, a list such as n[1-20], or a filter such as 'label.rack = r1'";
const switchArgument = () => new Argument("<to>").choices(switches);

export function addMachines(program: Command, connected: Connected): void {
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
    .description("switch nodes on or off, or say which they are")
    .addArgument(new Argument("<action>").choices(powerVerbs))
    .argument("<nodes>", nodes)
    .action((verb: PowerVerb, name: string) => connected((operator, io) => power(operator, io, verb, name)));
  program
    .command("maintenance")
    .description("start no step on nodes, and take their silence for no failure")
    .argument("<nodes>", nodes)
    .addArgument(switchArgument())
    .argument("[reason...]", "for those who wonder")
    .action((name: string, to: Switch, reason: string[]) =>
      connected((operator, io) => maintenance(operator, io, name, to, reason)),
    );
  program
    .command("protect")
    .description("plan nothing for nodes that destroys data")
    .argument("<nodes>", nodes)
    .addArgument(switchArgument())
    .action((name: string, to: Switch) => connected((operator, io) => protect(operator, io, name, to)));
  program
    .command("retire")
    .description("nodes on their way out may be released, but not provisioned again")
    .argument("<nodes>", nodes)
    .addArgument(switchArgument())
    .action((name: string, to: Switch) => connected((operator, io) => retire(operator, io, name, to)));
}
