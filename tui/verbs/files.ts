// `muster files`: lists what tasks have fetched from nodes, and writes one of them out.
import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { toJson } from "@bufbuild/protobuf";
import { type FetchedFile, FetchedFileSchema } from "../../proto/gen/muster/v1/files_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode, RefusedError } from "../errors.ts";
import { clean, dateTime, formatBytes, timeMs } from "../format.ts";
import type { Io } from "../io.ts";
import { jsonList, type OutputOptions, wantsJson } from "../output.ts";
import { allPages } from "../pages.ts";
import { table } from "../text-table.ts";

export async function listFiles(
  { files }: Operator,
  io: Io,
  options: OutputOptions & { filter?: string },
): Promise<number> {
  const all = await allPages(
    (request) => files.listFetchedFiles(request),
    (page) => page.files,
    options,
  );
  if (wantsJson(options)) io.out(jsonList(all.map((file) => toJson(FetchedFileSchema, file))));
  else for (const line of fileTable(all)) io.out(line);
  return exitCode.ok;
}

/** Without a file to write to, the content must be text. */
export async function getFile(
  { files }: Operator,
  io: Io,
  node: string,
  path: string,
  { output }: { output?: string },
): Promise<number> {
  // A call that has begun must be read: so it begins where that is done.
  const read = () => files.readFetchedFile({ name: `${node}/${path.replace(/^\/+/, "")}` });
  if (output !== undefined) {
    io.out(`${output}: ${formatBytes(await writeAll(output, read))}`);
    return exitCode.ok;
  }
  const pieces: Uint8Array[] = [];
  for await (const piece of read()) pieces.push(piece.content);
  const text = Buffer.concat(pieces).toString();
  if (text.includes("\0") || text.includes("\ufffd")) {
    throw new RefusedError(`${path} of ${node} is no text: write it to a file with \`-o FILE\``);
  }
  for (const line of text.replace(/\n$/, "").split("\n")) io.out(clean(line));
  return exitCode.ok;
}

/** Whole or not at all; says how many bytes. */
async function writeAll(output: string, read: () => AsyncIterable<{ content: Uint8Array }>): Promise<number> {
  const aside = `${output}.${randomUUID()}.new`;
  let bytes = 0;
  try {
    const file = await open(aside, "wx", 0o600).catch((error: Error) => {
      throw new RefusedError(`cannot write ${output}: ${error.message}`);
    });
    try {
      for await (const piece of read()) {
        await file.writeFile(piece.content);
        bytes += piece.content.length;
      }
    } finally {
      await file.close();
    }
    await rename(aside, output);
    return bytes;
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
}

function fileTable(files: FetchedFile[]): string[] {
  const rows = files.map(({ node, path, sizeBytes, time, step }) => {
    const at = timeMs(time);
    return [node, clean(path), formatBytes(sizeBytes), at === undefined ? "" : dateTime(at), step];
  });
  return table(["NODE", "PATH", "SIZE", "FETCHED", "STEP"], rows);
}
