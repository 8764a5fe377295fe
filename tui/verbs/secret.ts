// `muster secret`: stores what opens the disks, lists what there is, forgets it. The content goes one way only.
import { readFile } from "node:fs/promises";
import { toJson } from "@bufbuild/protobuf";
import { type Secret, SecretSchema } from "../../proto/gen/muster/v1/secret_pb.ts";
import { change } from "../change.ts";
import type { Operator } from "../client.ts";
import { exitCode, RefusedError } from "../errors.ts";
import { dateTime, formatBytes, timeMs } from "../format.ts";
import type { Io } from "../io.ts";
import { jsonList, type OutputOptions, wantsJson } from "../output.ts";
import { allPages, filterOf } from "../pages.ts";
import { table } from "../text-table.ts";
import { agree } from "./agree.ts";

const largestBytes = 64 << 10;

export async function setSecret(
  { secrets }: Operator,
  io: Io,
  name: string,
  { from }: { from?: string },
): Promise<number> {
  const content = from === undefined ? ((await io.input()) ?? (await typed(io))) : await contentOf(from);
  if (content.length === 0) throw new RefusedError("the secret is empty; nothing was stored");
  if (content.length > largestBytes) {
    throw new RefusedError(`a secret has at most ${formatBytes(largestBytes)}; nothing was stored`);
  }
  const { secret, created } = await change((requestId) => secrets.setSecret({ name, content, requestId }));
  io.out(`secret/${name} ${created ? "set" : "replaced"}, ${formatBytes(content.length)}`);
  if (secret && !secret.typable && content.at(-1) === 0x0a) {
    io.err(
      "muster: its last byte is a line end, which nobody can type at a console: if it is for the disk of /, " +
        "set it without one, as by printf",
    );
  }
  return exitCode.ok;
}

export async function listSecrets(
  { secrets }: Operator,
  io: Io,
  options: OutputOptions & { filter?: string },
): Promise<number> {
  const all = await allPages(
    (request) => secrets.listSecrets(request),
    (page) => page.secrets,
    options,
  );
  if (wantsJson(options)) io.out(jsonList(all.map((secret) => toJson(SecretSchema, secret))));
  else for (const line of secretTable(all)) io.out(line);
  return exitCode.ok;
}

export async function deleteSecret(
  { secrets }: Operator,
  io: Io,
  name: string,
  options: { yes?: boolean },
): Promise<number> {
  const found = await secrets.listSecrets({ filter: filterOf({ name }) });
  const known = found.secrets.find((secret) => secret.name === name);
  if (!known)
    throw new RefusedError(`there is no secret ${name}; \`muster secret list\` lists what there is`);
  if (!options.yes) {
    io.out(`Deleting secret ${name}: what is encrypted with it opens only with a copy that you have kept`);
    await agree(io, "the secret's name", name);
  }
  await change((requestId) => secrets.deleteSecret({ name, etag: known.etag, requestId }));
  io.out(`secret/${name} deleted`);
  return exitCode.ok;
}

/** Twice, as nobody sees what is typed. */
async function typed(io: Io): Promise<Uint8Array> {
  const first = await io.askHidden("Secret: ");
  if (first && (await io.askHidden("The same again: ")) !== first) {
    throw new RefusedError("these were not the same; nothing was stored");
  }
  return Buffer.from(first);
}

async function contentOf(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new RefusedError(`cannot read ${file}: ${error instanceof Error ? error.message : error}`);
  }
}

function secretTable(secrets: Secret[]): string[] {
  const rows = secrets.map(({ name, sizeBytes, typable, createTime, updateTime }) => {
    const [created, updated] = [timeMs(createTime), timeMs(updateTime)].map((time) =>
      time === undefined ? "" : dateTime(time),
    );
    return [name, `${sizeBytes} B`, typable ? "yes" : "no", created ?? "", updated ?? ""];
  });
  return table(["NAME", "SIZE", "TYPABLE", "CREATED", "UPDATED"], rows);
}
