// Reads a plan as JSON from standard input, of one machine or of a cluster, and prints the commands that would
// carry it out: the agent's half of `--show-commands`. Nothing is run.
import { text } from "node:stream/consumers";
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { PlanSchema } from "../proto/gen/muster/v1/deployment_pb.ts";
import { DiskPlanSchema } from "../proto/gen/muster/v1/disk_plan_pb.ts";
import { plannedCommands } from "./storage/planned-commands.ts";

const json = JSON.parse(await text(process.stdin)) as JsonObject;
if ("nodes" in json) {
  for (const { node, disks } of fromJson(PlanSchema, json).nodes) {
    if (disks) process.stdout.write(`# ${node}\n${plannedCommands(disks).join("\n")}\n`);
  }
} else process.stdout.write(`${plannedCommands(fromJson(DiskPlanSchema, json)).join("\n")}\n`);
