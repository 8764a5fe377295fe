// What vouches for a file that is imported: a digest, or a list of digests, that somebody may have signed.
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { RefusedError } from "./errors.ts";
import { requireTools, runTool } from "./tools.ts";

export type Vouching = {
  /** Such as sha256:9f86d08... */
  checksum?: string;
  /** SHA256SUMS: a file or an address. */
  checksums?: string;
  /** Of the latter, detached. */
  signature?: string;
  keyring?: string;
};

export type ChecksumOptions = {
  scratch: string;
  signal: AbortSignal;
  /** The path of what is at an address. */
  fetch: (address: string) => Promise<string>;
};

/** The hexadecimal sha256 that the source must have; undefined if nobody has said. Throws RefusedError. */
export async function expectedDigest(
  source: string,
  vouching: Vouching,
  options: ChecksumOptions,
): Promise<string | undefined> {
  const { checksum, checksums, signature, keyring } = vouching;
  if (checksum && checksums) throw new RefusedError("give either --checksum or --checksums");
  if (Boolean(signature) !== Boolean(keyring) || (signature && !checksums)) {
    throw new RefusedError("a signature is checked with --checksums, --signature and --keyring together");
  }
  if (checksum) {
    const digest = /^sha256:([0-9a-f]{64})$/i.exec(checksum)?.[1];
    if (!digest) throw new RefusedError(`--checksum ${checksum} is not sha256: and 64 hexadecimal digits`);
    return digest.toLowerCase();
  }
  if (!checksums) return undefined;
  const path = await options.fetch(checksums);
  if (signature && keyring) {
    await checkSignature({ list: path, signature: await options.fetch(signature), keyring }, options);
  }
  const name = decodeURIComponent(basename(source.replace(/[?#].*$/, "")));
  const digest = digestOf(name, await readFile(path, "utf8"));
  if (!digest) throw new RefusedError(`${checksums} has no sha256 of ${name}`);
  return digest;
}

/** Of `HEX  NAME`, `HEX *NAME` and `SHA256 (NAME) = HEX`. */
export function digestOf(name: string, list: string): string | undefined {
  for (const line of list.split(/\r?\n/)) {
    const [, first, second] = /^([0-9a-f]{64}) [ *](.+)$/i.exec(line) ?? [];
    const [, file, digest] = /^SHA256 \((.+)\) = ([0-9a-f]{64})$/i.exec(line) ?? [];
    if (second && basename(second) === name) return first?.toLowerCase();
    if (file && basename(file) === name) return digest?.toLowerCase();
  }
  return undefined;
}

async function checkSignature(
  { list, signature, keyring }: { list: string; signature: string; keyring: string },
  { scratch, signal }: ChecksumOptions,
): Promise<void> {
  await requireTools(["gpgv"]);
  const keys = join(scratch, "keyring.gpg");
  const given = await readFile(resolve(keyring)).catch((cause: NodeJS.ErrnoException) => {
    throw new RefusedError(`--keyring ${keyring} cannot be read (${cause.code})`, { cause });
  });
  await writeFile(keys, dearmored(given));
  await runTool("gpgv", ["--keyring", keys, signature, list], { signal }).catch((cause: unknown) => {
    signal.throwIfAborted();
    const words = cause instanceof Error ? cause.message : String(cause);
    throw new RefusedError(`the list of checksums is not signed by a key of ${keyring}: ${words}`, { cause });
  });
}

/** gpgv reads keys only in their binary form. */
function dearmored(key: Buffer): Buffer {
  const lines = key.toString("latin1").split(/\r?\n/);
  const begin = lines.indexOf("-----BEGIN PGP PUBLIC KEY BLOCK-----");
  if (begin < 0) return key;
  const from = lines.indexOf("", begin) + 1;
  const to = lines.findIndex((line, i) => i >= from && /^(=|-----END)/.test(line));
  return Buffer.from(lines.slice(from, to).join(""), "base64");
}

/** Digests what passes through; throws at its end if it is not what was expected. */
export async function* checked(
  stream: AsyncIterable<Uint8Array>,
  expected: string,
  name: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  for await (const bytes of stream) {
    hash.update(bytes);
    yield bytes;
  }
  compare(hash.digest("hex"), expected, name);
}

/** Throws RefusedError if they differ. */
export function compare(found: string, expected: string, name: string): void {
  if (found === expected) return;
  throw new RefusedError(
    `${name} has the sha256 ${found}, not ${expected}: it was damaged on its way, or is another file than was meant; nothing was imported`,
  );
}
