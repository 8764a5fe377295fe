// `muster apply`: reads manifests from files and directories, has the daemon check and store them as a whole.
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppliedDocument_Outcome } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Operator } from "../client.ts";
import { exitCode, faultLines, RefusedError } from "../errors.ts";
import { plural } from "../format.ts";
import type { Io } from "../io.ts";

type File = { path: string; content: string };

export async function apply(
  { clusters }: Operator,
  io: Io,
  paths: string[],
  options: { dryRun?: boolean },
): Promise<number> {
  const files = (await Promise.all(paths.map(readManifests))).flat();
  try {
    const { documents } = await clusters.apply({ files, validateOnly: options.dryRun ?? false });
    const note = options.dryRun ? " (dry run, nothing stored)" : "";
    for (const { name, outcome } of documents) io.out(`${name} ${outcomeWord(outcome)}${note}`);
    return exitCode.ok;
  } catch (error) {
    const faults =
      error instanceof RpcError && error.code === codes.INVALID_ARGUMENT ? faultLines(error) : [];
    if (!faults.length) throw error;
    for (const line of faults) io.err(line);
    io.err(`muster: ${plural(faults.length, "fault")}, nothing was stored`);
    return exitCode.refused;
  }
}

/** A file as it is; of a directory its *.yaml and *.yml files in order of name, without descending. */
async function readManifests(path: string): Promise<File[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [{ path, content: await readFile(path, "utf8") }];
    const names = (await readdir(path)).filter((name) => /\.ya?ml$/.test(name)).sort();
    if (!names.length) throw new RefusedError(`${path}: there is no *.yaml file in this directory`);
    return await Promise.all(
      names.map(async (name) => ({
        path: join(path, name),
        content: await readFile(join(path, name), "utf8"),
      })),
    );
  } catch (error) {
    if (error instanceof RefusedError) throw error;
    const cause = error instanceof Error ? error.message : String(error);
    throw new RefusedError(`cannot read ${path}: ${cause}`, { cause: error });
  }
}

function outcomeWord(outcome: AppliedDocument_Outcome): string {
  switch (outcome) {
    case AppliedDocument_Outcome.CREATED:
      return "created";
    case AppliedDocument_Outcome.CHANGED:
      return "changed";
    default:
      return "unchanged";
  }
}
