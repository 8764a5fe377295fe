// The verbs of `muster scheme` and `muster inventory`, apart from the process that they run in.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { text as readStream } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { Command, Option } from "commander";
import { parse, stringify } from "yaml";
import { type DiskPlan, DiskPlanSchema } from "../proto/gen/muster/v1/disk_plan_pb.ts";
import { type Inventory, InventorySchema } from "../proto/gen/muster/v1/inventory_pb.ts";
import { type SchemeSpec, SchemeSpecSchema } from "../proto/gen/muster/v1/manifest_pb.ts";
import { parseLsblk } from "../proto/inventory/lsblk.ts";
import { decodeManifests, formatFault } from "../proto/manifest/decode.ts";
import { disksSvg } from "../proto/render/disk-svg.ts";
import { drawFleet } from "../proto/render/fleet-text.ts";
import { type ConverterRegistry, convertScheme, knownConverters } from "./domain/convert/registry.ts";
import { planDisks } from "./domain/disk-plan.ts";
import { checkScheme } from "./domain/scheme-check.ts";
import { parseBytes } from "./domain/size.ts";

/** What was asked for cannot be done, and why. */
export class Refusal extends Error {
  override name = "Refusal";
}

type PlanOptions = { file: string; inventory: string[]; output: string; protect: string[] };
type Planned = { node: string; disks: DiskPlan };
type ConvertOptions = { from: string; output: string; driver: string[]; name?: string };
type LsblkOptions = { memory?: string };

export function schemeProgram(print: (text: string) => void): Command {
  const program = new Command("muster").exitOverride();
  const scheme = program.command("scheme").description("partition schemes, tried without a daemon");
  scheme
    .command("plan")
    .description("what a scheme would do to the disks of a machine")
    .requiredOption("-f, --file <file>", "manifest with kind: Scheme; - is standard input")
    .requiredOption(
      "--inventory <file>",
      "inventory as JSON, such as from `muster inventory from-lsblk`; repeatable, for many machines",
      (value: string, before: string[] | undefined) => [...(before ?? []), value],
    )
    .option("--protect <id>", "serial or wwn of a disk that must not be touched; repeatable", collect, [])
    .addOption(output(["text", "json", "yaml", "svg"]))
    .option("--show-commands", "the commands that would run, on standard output")
    .action(async (options: PlanOptions) => print(await planScheme(options)));
  scheme
    .command("convert")
    .description("another tool's layout as a scheme")
    .argument("<file>", "- is standard input")
    .requiredOption("--from <driver>", `${knownConverters().names().join(", ")}, or one of a --driver`)
    .option("--driver <module>", "a module that registers more of them; repeatable", collect, [])
    .option("--name <name>", "name of the scheme")
    .addOption(output(["yaml", "json"]))
    .action(async (file: string, options: ConvertOptions) => print(await convert(file, options)));
  const inventory = program.command("inventory").description("what a machine is made of");
  inventory
    .command("from-lsblk")
    .description("an inventory from the output of `lsblk -J -O -b` on a machine")
    .argument("<file>", "- is standard input")
    .option("--memory <size>", "the machine's memory, such as 64 GiB, which lsblk does not know")
    .action(async (file: string, options: LsblkOptions) => print(await fromLsblk(file, options)));
  return program;
}

function output(choices: string[]): Option {
  return new Option("-o, --output <format>", "how it is printed").choices(choices).default(choices[0]);
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

async function planScheme({ file, inventory, output, protect }: PlanOptions): Promise<string> {
  const scheme = await readScheme(file);
  const planned: Planned[] = [];
  const reasons: string[] = [];
  for (const one of inventory) {
    const result = planDisks(scheme, await readInventory(one), { protectedDisks: protect });
    if (result.ok) planned.push({ node: one, disks: result.plan });
    else {
      const whose = inventory.length > 1 ? `${one}: ` : "";
      reasons.push(...result.faults.map(({ message }) => `  ${whose}${message.replaceAll("\n", "\n  ")}`));
    }
  }
  if (reasons.length) throw new Refusal([`scheme ${scheme.name} cannot be planned:`, ...reasons].join("\n"));
  return printPlan(planned, output);
}

/** One machine's plan as it is; those of several as a list that says which is whose. */
function printPlan(planned: Planned[], output: string): string {
  const [first, ...others] = planned;
  const data = () => {
    const plans = planned.map(({ node, disks }) => ({
      inventory: node,
      disks: toJson(DiskPlanSchema, disks),
    }));
    return others.length ? plans : plans[0]?.disks;
  };
  switch (output) {
    case "json":
      return `${JSON.stringify(data(), undefined, 2)}\n`;
    case "yaml":
      return stringify(data());
    case "svg":
      if (!first || others.length) throw new Refusal("an SVG shows one machine; give one --inventory");
      return disksSvg(first.disks);
    default:
      return `${drawFleet(planned, process.stdout.columns ?? 100).join("\n")}\n`;
  }
}

async function readScheme(file: string): Promise<SchemeSpec> {
  return onlyScheme(file, await read(file));
}

/** The only scheme of a file, held to all rules that need no machine. */
function onlyScheme(file: string, content: string): SchemeSpec {
  const { documents, faults } = decodeManifests([{ path: file, content }]);
  if (faults.length) throw new Refusal(faults.map(formatFault).join("\n"));
  const schemes = documents.flatMap(({ manifest: { kind }, locate }) =>
    kind.case === "scheme" ? [{ scheme: kind.value, locate }] : [],
  );
  const [first] = schemes;
  if (!first || schemes.length > 1)
    throw new Refusal(`${file} has ${schemes.length} documents of kind: Scheme; it needs exactly one`);
  const broken = checkScheme(first.scheme).map((fault) => ({ file, ...first.locate(fault.path), ...fault }));
  if (broken.length) throw new Refusal(broken.map(formatFault).join("\n"));
  return first.scheme;
}

/** An inventory, or a node that has one, as `muster get node -o json` prints it. */
async function readInventory(file: string): Promise<Inventory> {
  const data = parseText(file, await read(file));
  const value = isRecord(data) && isRecord(data.inventory) ? data.inventory : data;
  try {
    return fromJson(InventorySchema, value as JsonValue);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Refusal(`${file} is no inventory: ${why}; make one with \`muster inventory from-lsblk\``);
  }
}

async function fromLsblk(file: string, { memory }: LsblkOptions): Promise<string> {
  const memoryBytes = memory === undefined ? 0n : parseBytes(memory);
  if (memoryBytes === undefined) throw new Refusal(`--memory ${memory} is no size, such as 64 GiB`);
  const content = await read(file);
  const nothing = new Map<string, string[]>();
  try {
    const disks = parseLsblk(content, { byId: nothing, byPath: nothing, serials: new Map() });
    const inventory = create(InventorySchema, { disks, memoryBytes });
    return `${JSON.stringify(toJson(InventorySchema, inventory), undefined, 2)}\n`;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Refusal(`${file} is no output of \`lsblk -J -O -b\`: ${why}`);
  }
}

async function convert(file: string, { from, output, driver, name }: ConvertOptions): Promise<string> {
  const registry = knownConverters();
  for (const one of driver) await loadDriver(one, registry);
  const content = await read(file);
  const conversion =
    from === "native"
      ? { ok: true as const, scheme: onlyScheme(file, content) }
      : convertScheme(registry, from, parseText(file, content), name ?? "converted");
  if (!conversion.ok) {
    const reasons = conversion.faults.map(({ path, message }) => `  ${path}: ${message}`);
    throw new Refusal([`${file} cannot be expressed as a scheme:`, ...reasons].join("\n"));
  }
  const json = toJson(SchemeSpecSchema, conversion.scheme);
  const manifest = { kind: "Scheme", ...(isRecord(json) ? json : {}) };
  return output === "json" ? `${JSON.stringify(manifest, undefined, 2)}\n` : stringify(manifest);
}

/** A module that exports `register(registry)`. */
async function loadDriver(module: string, registry: ConverterRegistry): Promise<void> {
  const specifier = /^[./]/.test(module) ? pathToFileURL(resolve(module)).href : module;
  const loaded: unknown = await import(specifier);
  if (!isRecord(loaded) || typeof loaded.register !== "function")
    throw new Refusal(`the driver ${module} exports no function \`register\``);
  loaded.register(registry);
}

function parseText(file: string, content: string): unknown {
  try {
    return parse(content);
  } catch (error) {
    throw new Refusal(`${file} is neither JSON nor YAML: ${error instanceof Error ? error.message : error}`);
  }
}

async function read(file: string): Promise<string> {
  if (file === "-") return readStream(process.stdin);
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new Refusal(`${file} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
