// Verbs on files that tasks have fetched.
import type { Command } from "commander";
import { getFile, listFiles } from "../verbs/files.ts";
import { type Connected, json, output } from "./connected.ts";

export function addFiles(program: Command, connected: Connected): void {
  const files = program.command("files").description("files that tasks have fetched from nodes");
  files
    .command("list")
    .description("which there are: the newest of every path")
    .option("--filter <filter>", "such as 'node = n1', or a word")
    .addOption(output())
    .addOption(json())
    .action((options) => connected((operator, io) => listFiles(operator, io, options)));
  files
    .command("get")
    .description("the content of one")
    .argument("<node>")
    .argument("<path>", "as on the node")
    .option("-o, --output <file>", "write it to this file")
    .action((node: string, path: string, options) =>
      connected((operator, io) => getFile(operator, io, node, path, options)),
    );
}
