// Verbs that show graphs of tasks, and what became of one.
import { type Command, Option } from "commander";
import { graphOrder, graphShow } from "../verbs/graph.ts";
import { report } from "../verbs/report.ts";
import { type Connected, json, output, selector } from "./connected.ts";

/** Which part of a cluster. */
function parts(command: Command): Command {
  return command
    .option("--graph <name>", "this graph; `default` if absent", collect)
    .option("--nodes <names>", "only on these nodes, such as n1,n[4-7]", collect)
    .addOption(selector().conflicts("nodes"));
}

export function addGraphs(program: Command, connected: Connected): void {
  const graph = program
    .command("graph")
    .description("the graph of a cluster's tasks")
    .addHelpText(
      "after",
      "\nmuster graph import fuel|scenario makes manifests of other tools' graphs, without the daemon.",
    );
  parts(graph.command("show"))
    .description(
      "tasks level by level, and which waits for which; solid edges are on the same node, dashed ones are not",
    )
    .argument("<cluster>")
    .addOption(
      new Option("--dot", "in the words of Graphviz").conflicts(["mermaid", "svg", "output", "json"]),
    )
    .addOption(new Option("--mermaid", "in the words of Mermaid").conflicts(["svg", "output", "json"]))
    .addOption(new Option("--svg", "as a picture").conflicts(["output", "json"]))
    .addOption(output())
    .addOption(json())
    .action((cluster: string, options) =>
      connected((operator, io) => graphShow(operator, io, cluster, options)),
    );
  parts(graph.command("order"))
    .description("in which order steps are done, and the chain of them that takes longest")
    .argument("<cluster>")
    .option("--all", "everything anew, not only what has changed")
    .addOption(output())
    .addOption(json())
    .action((cluster: string, options) =>
      connected((operator, io) => graphOrder(operator, io, cluster, options)),
    );
  program
    .command("report")
    .description(
      "when each step of a deployment ran, what it waited for, and which chain of steps took longest",
    )
    .argument("<name>", "a deployment, or a cluster for its newest")
    .addOption(new Option("--svg <file>", "its timeline as a picture").conflicts(["output", "json"]))
    .addOption(
      new Option("--html <file>", "all of it as a page that needs nothing else").conflicts([
        "output",
        "json",
      ]),
    )
    .addOption(output())
    .addOption(json())
    .action((name: string, options) => connected((operator, io) => report(operator, io, name, options)));
}

function collect(word: string, before: string[] = []): string[] {
  return [...before, word];
}
