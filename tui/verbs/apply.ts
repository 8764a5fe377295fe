// `muster apply`: reads manifests from files and directories, has the daemon check and store them as a whole.
import { isUtf8 } from "node:buffer";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { AppliedDocument_Outcome, type ManifestSourceSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { decodeManifests } from "../../proto/manifest/decode.ts";
import { sourcesOf } from "../../proto/manifest/sources.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { messageLimits } from "../../proto/rpc/wire.ts";
import { change } from "../change.ts";
import type { Operator } from "../client.ts";
import { exitCode, faultLines, RefusedError } from "../errors.ts";
import { formatBytes, plural } from "../format.ts";
import type { Io } from "../io.ts";
import { type Packed, pack } from "../pack.ts";
import { sendTrees } from "../send-files.ts";

type File = { path: string; content: string };

// One call's limit, less some room for the paths.
const maxBytes = messageLimits["grpc.max_send_message_length"] - (1 << 20);

export async function apply(
  { clusters, files: store }: Operator,
  io: Io,
  paths: string[],
  options: { dryRun?: boolean },
): Promise<number> {
  const files = (await Promise.all(paths.map(readManifests))).flat();
  refuseTooMuch(files);
  try {
    const validateOnly = options.dryRun ?? false;
    const sources = await sendSources(store, files);
    const { documents } = await change((requestId) =>
      clusters.apply({ files, sources, validateOnly, requestId }),
    );
    const note = options.dryRun ? " (dry run, nothing stored)" : "";
    if (!documents.length)
      throw new RefusedError(`there is no manifest in ${paths.join(", ")}; nothing was stored`);
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

/** Sends what tasks name beside their manifests. Of manifests with faults the daemon says what they are. */
async function sendSources(
  store: Operator["files"],
  files: File[],
): Promise<MessageInitShape<typeof ManifestSourceSchema>[]> {
  const { documents, faults } = decodeManifests(files);
  if (faults.length) return [];
  const packed = new Map<string, { file: string; source: string; tree: Packed }>();
  for (const { file, manifest, locate } of documents) {
    if (manifest.kind.case !== "task") continue;
    for (const { path, source, kind, optional } of sourcesOf(manifest.kind.value)) {
      // Many tasks may name the same directory, such as one of Puppet's modules.
      if (packed.has(`${file}\0${source}`)) continue;
      const { line, column } = locate(path);
      const tree = await pack(file, source, kind, `${file}:${line}:${column}: ${path}`);
      if (tree) packed.set(`${file}\0${source}`, { file, source, tree });
      else if (!optional) {
        throw new RefusedError(
          `${file}:${line}:${column}: ${path}: there is no ${kind} \`${source}\` beside the manifest`,
        );
      }
    }
  }
  const all = [...packed.values()];
  await sendTrees(
    store,
    all.map(({ tree }) => tree),
  );
  return all.map(({ file, source, tree }) => ({ file, source, digest: tree.digest }));
}

/** A file as it is; of a directory its *.yaml and *.yml files in order of name, without descending. */
async function readManifests(path: string): Promise<File[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [{ path, content: await readText(path) }];
    const names = (await readdir(path)).filter((name) => /\.ya?ml$/.test(name)).sort();
    if (!names.length) throw new RefusedError(`${path}: there is no *.yaml file in this directory`);
    return await Promise.all(
      names.map(async (name) => ({
        path: join(path, name),
        content: await readText(join(path, name)),
      })),
    );
  } catch (error) {
    if (error instanceof RefusedError) throw error;
    const cause = error instanceof Error ? error.message : String(error);
    throw new RefusedError(`cannot read ${path || "a file without a name"}: ${cause}`, { cause: error });
  }
}

/** An image or a program given by mistake is refused as what it is, not as bad YAML. */
async function readText(path: string): Promise<string> {
  const { size } = await stat(path);
  if (size > maxBytes) throw tooMuch(path, size);
  const bytes = await readFile(path);
  if (!isUtf8(bytes) || bytes.includes(0)) {
    throw new RefusedError(`${path} is not a text file; a manifest is YAML in UTF-8`);
  }
  return bytes.toString();
}

function refuseTooMuch(files: File[]): void {
  const size = files.reduce((total, { content }) => total + Buffer.byteLength(content), 0);
  if (size > maxBytes) throw tooMuch("the set of manifests", size);
}

function tooMuch(what: string, size: number): RefusedError {
  return new RefusedError(
    `${what} has ${formatBytes(size)}, and what is applied at once has at most ${formatBytes(maxBytes)}; large files belong into an image`,
  );
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
