// What the tables of verbs share: a verb is run with a connection to the daemon.
import { Option } from "commander";
import type { Operator } from "../client.ts";
import type { Io } from "../io.ts";

export type Verb = (operator: Operator, io: Io) => Promise<number>;
export type Connected = (verb: Verb) => Promise<void>;

export const output = () => new Option("-o, --output <format>", "json instead of text").choices(["json"]);
/** May be given several times: a node must pass all of them. */
export const selector = () =>
  new Option(
    "-l, --selector <nodes>",
    "names such as n[1-20], or a filter such as 'role = compute and memory > 64 GiB'",
  ).argParser((word: string, before: string[] = []) => [...before, word]);
export const json = () => new Option("--json", "as -o json");
