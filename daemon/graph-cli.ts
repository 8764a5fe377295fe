// The verbs of `muster graph import`, apart from the process that they run in.
import { glob, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { Command } from "commander";
import { importFuel } from "./domain/graph-import/fuel.ts";
import { type Imported, ImportRefusal, type Note } from "./domain/graph-import/imported.ts";
import { manifestText } from "./domain/graph-import/manifest-text.ts";
import { importScenario } from "./domain/graph-import/scenario.ts";

type Print = { out(text: string): void; err(text: string): void };
type FuelOptions = {
  output?: string;
  tag: string[];
  image?: string;
  scheme?: string;
  tests: boolean;
  strict?: boolean;
};
type ScenarioOptions = { output?: string };

/** So many places of the same difference are listed; more are counted, and stand in the manifest. */
const listedPlaces = 3;

export function graphProgram(print: Print): Command {
  const program = new Command("muster").exitOverride();
  const graph = program.command("graph").description("graphs of tasks");
  const from = graph.command("import").description("other tools' graphs as manifests; needs no daemon");
  from
    .command("fuel")
    .description("every tasks.yaml of Fuel below a directory; what is not as it was is named with its line")
    .argument("<dir>")
    .option(
      "-o, --output <file>",
      "instead of standard output; paths in it are relative to it, without it to <dir>",
    )
    .option("--tag <tag=role>", "a role whose nodes have a tag of Fuel; repeatable", collect, [])
    .option("--image <image>", "print manifests of the roles too, with this image")
    .option("--scheme <scheme>", "and this partition scheme")
    .option("--no-tests", "leave test_pre and test_post out, which Fuel runs only when it is tested itself")
    .option("--strict", "refuse if there is a task for which nothing could be put in place")
    .action((dir: string, options: FuelOptions) => fuel(dir, options, print));
  from
    .command("scenario")
    .description(
      "a list of steps, each waiting for the one before: run something on a role's nodes, then wait",
    )
    .argument("<file>")
    .option("-o, --output <file>", "instead of standard output")
    .action((file: string, options: ScenarioOptions) => scenario(file, options, print));
  return program;
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

async function fuel(dir: string, options: FuelOptions, print: Print): Promise<void> {
  const paths = (await filesBelow(dir)).sort();
  const files = paths.filter((path) => /(?:^|\/)tasks\.yaml$/.test(path));
  if (files.length === 0) throw new ImportRefusal([`there is no tasks.yaml below ${dir}`]);
  const read = files.map(async (path) => ({ path, content: await readText(join(dir, path)) }));
  const { output, image, scheme, tests, tag } = options;
  const home = output ? dirname(output) : dir;
  const placed = paths.map((path) => relative(home, join(dir, path)));
  const imported = importFuel(await Promise.all(read), placed, {
    tags: tagsOf(tag),
    withoutTests: !tests,
    ...(image ? { image } : {}),
    ...(scheme ? { scheme } : {}),
  });
  const lost = imported.notes.filter(({ degree }) => degree === "lost");
  if (options.strict && lost.length) throw new ImportRefusal(lost.map(noteText));
  await write(manifestText(imported, `the tasks.yaml files below ${dir}`), output, print);
  for (const line of reportLines(imported)) print.err(line);
}

async function scenario(file: string, { output }: ScenarioOptions, print: Print): Promise<void> {
  const imported = importScenario(file, await readText(file));
  await write(manifestText(imported, file), output, print);
}

async function filesBelow(dir: string): Promise<string[]> {
  const paths: string[] = [];
  // Names with a dot at their beginning are no part of a graph.
  for await (const entry of glob("**/*", { cwd: dir, withFileTypes: true })) {
    if (entry.isFile()) paths.push(relative(dir, join(entry.parentPath, entry.name)));
  }
  return paths;
}

function tagsOf(pairs: string[]): Map<string, string[]> {
  const tags = new Map<string, string[]>();
  for (const pair of pairs) {
    const [, tag = "", role = ""] = /^([^=]+)=([^=]+)$/.exec(pair) ?? [];
    if (!tag) throw new ImportRefusal([`--tag ${pair} is no TAG=ROLE`]);
    tags.set(tag, [...(tags.get(tag) ?? []), role]);
  }
  return tags;
}

/** What the importer could not do, then what it did otherwise, then how many. */
function reportLines({ notes, tally }: Imported): string[] {
  const lost = notes.filter(({ degree }) => degree === "lost");
  const others = Map.groupBy(
    notes.filter(({ degree }) => degree === "differs"),
    ({ message }) => message,
  );
  const lines = lost.map((note) => `not converted: ${noteText(note)}`);
  for (const [message, same] of others) {
    const places = same.slice(0, listedPlaces).map(({ file, line }) => `${file}:${line}`);
    const more = same.length > listedPlaces ? `, and ${same.length - listedPlaces} more` : "";
    lines.push(`${message}: ${places.join(", ")}${more}`);
  }
  const { all, whole, differing } = tally;
  lines.push(
    `${all} tasks: ${whole} as they were, ${differing} with the differences above, ${tally.lost} not converted ` +
      "(these are tasks that do nothing, so that the others keep their order)",
  );
  return lines;
}

function noteText({ file, line, subject, message }: Note): string {
  return `${file}:${line}: ${subject}: ${message}`;
}

async function write(text: string, output: string | undefined, print: Print): Promise<void> {
  if (output) await writeFile(output, text);
  else print.out(text);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new ImportRefusal([`${file} cannot be read: ${error instanceof Error ? error.message : error}`]);
  }
}
