// Applies Puppet code with the node's own puppet, without a server.
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import type { PuppetAction } from "../../proto/gen/muster/v1/task_pb.ts";
import { writeHiera } from "../hiera.ts";
import { tailing } from "../line-tail.ts";
import { PuppetLog } from "../puppet-log.ts";
import { type PuppetReport, readReport } from "../puppet-report.ts";
import { CommandError } from "../runner.ts";
import { readSource } from "../source-files.ts";
import { treeOf } from "../source-trees.ts";
import type { Step, StepContext, StepDone } from "../step.ts";
import { syncTree } from "../sync-tree.ts";
import { templatesOf } from "../template.ts";

/** --detailed-exitcodes: 0 nothing to do, 2 changed; 1, 4 and 6 are failures. */
const codes = [0, 1, 2, 4, 6];
/** Modules that packages bring: those of Debian, and of Puppet's own packages. */
const nodeModules = [
  "/etc/puppet/code/modules",
  "/usr/share/puppet/modules",
  "/etc/puppetlabs/code/modules",
  "/opt/puppetlabs/puppet/modules",
];
/** Of failures that are told in the reason. */
const told = 3;

export const puppet: Step<"puppet"> = async (action, context) => {
  const dir = await mkdtemp(join(tmpdir(), "muster-puppet-"));
  try {
    const manifest = await prepare(dir, action, context);
    return await apply(dir, manifest, context);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};

/** Says where the manifest lies. */
async function prepare(dir: string, action: PuppetAction, context: StepContext): Promise<string> {
  const { values, progress, check } = context;
  progress({ activity: "fetching modules" });
  const manifest = join(dir, action.source ? basename(action.source) : "manifest.pp");
  await writeFile(manifest, action.source ? await readSource(action.source, context) : action.manifest);
  if (action.modules) {
    const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const quiet = { ...context, log: () => {}, check: false };
    const modules = await treeOf(action.modules, context);
    await syncTree({ ...modules, target: join(dir, "modules"), remove: false, ...own }, quiet);
  }
  const hiera = (await templatesOf(context)).render("hiera", action.hiera);
  await writeHiera(join(dir, "conf"), values, await context.secretValues(), hiera);
  progress({ activity: check ? "comparing" : "compiling" });
  return manifest;
}

async function apply(dir: string, manifest: string, context: StepContext): Promise<StepDone> {
  const strip = (text: string) => text.replaceAll(`${dir}/`, "");
  const puppetLog = new PuppetLog(strip);
  const file = (name: string) => join(dir, name);
  let total = 0;
  const onLine = (line: string) => {
    const shown = puppetLog.take(line);
    if (shown !== undefined) for (const part of shown.split("\n")) context.log(part);
    const { done, changed, failed, resource } = puppetLog.progress;
    if (resource) total ||= countOf(file("resources.txt"));
    context.progress({
      activity: resource || "compiling",
      currentItems: done,
      totalItems: Math.max(total, done),
      changedItems: changed,
      failedItems: failed,
    });
  };
  try {
    const { code, stderr } = await tailing(file("log.json"), onLine, () => run(dir, manifest, context));
    const text = await readFile(file("report.yaml"), "utf8").catch(() => "");
    const report = readReport(text, puppetLog.diffs, strip);
    if (code === 1 || code === 4 || code === 6) {
      throw new CommandError(reasonOf(report, puppetLog, stderr), code);
    }
    return done(report, context);
  } catch (error) {
    throw explain(error);
  }
}

/** How many there are in the list that is written before the first of them is looked at; 0 before that. */
function countOf(list: string): number {
  if (!existsSync(list)) return 0;
  return readFileSync(list, "utf8").split("\n").filter(Boolean).length;
}

function run(dir: string, manifest: string, { run, check }: StepContext) {
  const conf = join(dir, "conf");
  const argv = [
    ...["puppet", "apply", "--detailed-exitcodes", "--verbose", "--evaltrace", "--show_diff"],
    ...["--confdir", conf, "--hiera_config", join(conf, "hiera.yaml")],
    ...["--modulepath", [join(dir, "modules"), ...nodeModules].join(":")],
    ...["--logdest", join(dir, "log.json"), "--lastrunreport", join(dir, "report.yaml")],
    ...["--lastrunfile", join(dir, "summary.yaml"), "--classfile", join(dir, "classes.txt")],
    ...["--write-catalog-summary", "--resourcefile", join(dir, "resources.txt")],
    ...(check ? ["--noop"] : []),
    manifest,
  ];
  return run(argv as [string, ...string[]], {
    // Puppet wants UTF-8, and its own packages install it outside the usual path.
    env: {
      PATH: `${process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin"}:/opt/puppetlabs/bin`,
      LC_ALL: "C.UTF-8",
    },
    okCodes: codes,
    timeoutMs: Infinity,
  });
}

function done(report: PuppetReport | undefined, { check, progress }: StepContext): StepDone {
  if (!report) throw new Error("puppet has left no report of its run; the log says what it did");
  const { total, changes } = report;
  progress({ activity: "", currentItems: total, totalItems: total, changedItems: changes.length });
  return {
    result: `${total} resources, ${changes.length} ${check ? "would change" : "changed"}`,
    outcome: changes.length ? TaskOutcome.CHANGED : TaskOutcome.OK,
    facts: { resources: total, changed: changes.length },
    changes,
  };
}

/** `stderr`: where Puppet speaks before it has a log. */
function reasonOf(report: PuppetReport | undefined, { errors }: PuppetLog, stderr: string): string {
  const failures = report?.failures ?? [];
  if (!failures.length) {
    const said = errors.length ? errors.slice(0, told) : stderr.trim().split("\n").slice(-told);
    return `puppet apply: ${said.join("; ") || "it failed; the log says why"}`;
  }
  const more = failures.length > told ? `; and ${failures.length - told} more` : "";
  const skipped = report?.skipped ? `; ${report.skipped} were skipped because of that` : "";
  const count = `${failures.length} of ${report?.total} resources failed`;
  return `puppet apply: ${count}: ${failures.slice(0, told).join("; ")}${more}${skipped}`;
}

function explain(error: unknown): unknown {
  if (!(error instanceof CommandError) || !error.message.includes("ENOENT")) return error;
  return new CommandError(
    "the node has no puppet: add puppet-agent to the packages of the image's recipe",
    -1,
  );
}
