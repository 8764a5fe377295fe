// Reads a plan as JSON from standard input, of one machine, of several or of a cluster, and prints the commands that
// would carry it out: the agent's half of `--show-commands`. Nothing is run, and no secret is known here.
import { text } from "node:stream/consumers";
import { fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { PlanSchema } from "../proto/gen/muster/v1/deployment_pb.ts";
import { DiskPlanSchema } from "../proto/gen/muster/v1/disk_plan_pb.ts";
import { explanation, plannedCommands } from "./storage/planned-commands.ts";

const json = JSON.parse(await text(process.stdin)) as JsonObject | JsonObject[];
process.stdout.write(`${[...explanation, ...linesOf(json)].join("\n")}\n`);

function linesOf(plan: JsonObject | JsonObject[]): string[] {
  if (Array.isArray(plan))
    return plan.flatMap(({ inventory, disks }) => ["", `# ${inventory}`, ...commandsOf(disks)]);
  return "nodes" in plan ? clusterLines(plan) : commandsOf(plan);
}

function clusterLines(json: JsonObject): string[] {
  const { nodes, steps } = fromJson(PlanSchema, json);
  const partitioning = new Map(
    steps.filter(({ task }) => task === "partition").map((step) => [step.node, step]),
  );
  return nodes.flatMap(({ node, disks }) => {
    const done = partitioning.get(node)?.unchangedSince;
    if (done) return ["", `# ${node}: its disks stay as they are, unchanged since ${done}`];
    return disks ? ["", `# ${node}`, ...plannedCommands(disks)] : ["", `# ${node}: no disk is touched`];
  });
}

function commandsOf(disks: JsonValue | undefined): string[] {
  return plannedCommands(fromJson(DiskPlanSchema, disks ?? {}));
}
