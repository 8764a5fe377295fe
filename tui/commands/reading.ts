// Verbs that change nothing.
import { Argument, type Command, InvalidArgumentError } from "commander";
import { describe } from "../verbs/describe.ts";
import { doctor, explain } from "../verbs/diagnose.ts";
import { events } from "../verbs/events.ts";
import { get, type Kind, kinds } from "../verbs/get.ts";
import { history } from "../verbs/history.ts";
import { logs } from "../verbs/logs.ts";
import { type Connected, json, output, selector } from "./connected.ts";

const kindArgument = () =>
  new Argument("<kind>", kinds.join(", "))
    .choices([...kinds, ...kinds.map((kind) => kind.slice(0, -1))])
    .argRequired();

function plural(kind: string): Kind {
  return kinds.find((known) => known === kind || known === `${kind}s`) ?? "nodes";
}

export function addReading(program: Command, connected: Connected): void {
  program
    .command("get")
    .description("list what there is, or show one")
    .addArgument(kindArgument())
    .argument("[name]", "of one; for steps, whose: DEPLOYMENT, or CLUSTER for its newest")
    .option("--filter <filter>", "such as 'state = READY AND cluster = demo', or a word")
    .addOption(selector())
    .addOption(output())
    .addOption(json())
    .action((kind: string, name: string | undefined, options) =>
      connected((operator, io) => get(operator, io, plural(kind), name, options)),
    );
  program
    .command("describe")
    .description("everything about one thing")
    .addArgument(kindArgument())
    .argument("<name>", "of a step: DEPLOYMENT/NODE/TASK, or CLUSTER/NODE/TASK for the newest")
    .action((kind: string, name: string) =>
      connected((operator, io) => describe(operator, io, plural(kind), name)),
    );
  program
    .command("explain")
    .description("why a node, deployment or step is where it is, and what would move it")
    .argument("<name>", "NODE, DEPLOYMENT, CLUSTER or DEPLOYMENT/NODE/TASK; node/NAME for only that kind")
    .addOption(output())
    .addOption(json())
    .action((name: string, options) => connected((operator, io) => explain(operator, io, name, options)));
  program
    .command("doctor")
    .description(
      "look at what the daemon depends on: ports, other DHCP servers, disks, clock, limits, images",
    )
    .argument("[check...]", "only these checks, and these in full")
    .addOption(output())
    .addOption(json())
    .action((checks: string[], options) =>
      connected((operator, io) => doctor(operator, io, checks, options)),
    );
  program
    .command("history")
    .description("every attempt of every step, the newest first")
    .argument("[name]", "only of this deployment, or of a cluster's newest")
    .option("--node <node>", "only on this node")
    .option("--task <task>", "only of this task")
    .option("--last <count>", "at most so many", count, 100)
    .addOption(output())
    .addOption(json())
    .action((name: string | undefined, options) =>
      connected((operator, io) => history(operator, io, name, options)),
    );
  program
    .command("logs")
    .description("the log of a step or attempt, or of all steps of a deployment")
    .argument(
      "<name>",
      "DEPLOYMENT/NODE/TASK[/NUMBER], CLUSTER/NODE/TASK for the newest, DEPLOYMENT or CLUSTER",
    )
    .option("-f, --follow", "go on until the step or deployment has ended")
    .action((name: string, options) => connected((operator, io) => logs(operator, io, name, options)));
  program
    .command("events")
    .description("what has happened")
    .option("-w, --watch", "and what happens, until interrupted")
    .option("--filter <filter>", "such as 'severity = ERROR', or a word")
    .addOption(output())
    .addOption(json())
    .action((options) => connected((operator, io) => events(operator, io, options)));
}

function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0 && value <= 1_000_000) return value;
  throw new InvalidArgumentError("it is a number from 1 to 1000000");
}
