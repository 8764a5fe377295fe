// `muster image import|export|push`: the verbs that bring images from elsewhere and take them there.
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { RefusedError } from "./errors.ts";
import { exportImage, exportStream, formatOf, storedManifest } from "./export.ts";
import { importImage, kindOf } from "./import.ts";
import { createMeter, type MeterOutput } from "./meter.ts";
import { bytes, createProgress } from "./progress.ts";
import { pushImage } from "./push.ts";
import { withWorkshop } from "./stage.ts";
import { imageDigest, offerImage } from "./store.ts";

type Say = (line: string) => void;
type StateOption = { stateDir: string };
type ImportOptions = StateOption & {
  version?: string;
  kind?: string;
  checksum?: string;
  checksums?: string;
  signature?: string;
  keyring?: string;
};
type ExportOptions = StateOption & { format?: string; stdout?: boolean };
type PushOptions = StateOption & { verify?: boolean };

const meter: MeterOutput = {
  write: (text) => void process.stderr.write(text),
  isTerminal: process.stderr.isTTY,
  now: Date.now,
};

/** `verb`: adds a verb with the options that all have. */
export function addTransferVerbs(
  verb: (usage: string, description: string) => Command,
  signal: AbortSignal,
  say: Say,
): void {
  verb(
    "import <name> <source>",
    "Makes an image of a file, an address (http, https, tftp), a torrent, or - for stdin.",
  )
    .option("--version <version>", "for people, such as 12.7")
    .option("--kind <kind>", "disk, filesystem or tree, if it is not what it looks like")
    .option("--checksum <digest>", "sha256:HEX that the source must have, as it comes")
    .option("--checksums <list>", "a file or address of SHA256SUMS that has the source")
    .option("--signature <file>", "a file or address with the list's detached OpenPGP signature")
    .option("--keyring <file>", "the OpenPGP keys that may have signed it")
    .action((name: string, source: string, options: ImportOptions) =>
      runImport(name, source, options, signal, say),
    );
  verb("export <name> [file]", "Writes an image of the store to a file, after checking every chunk.")
    .option("--format <format>", "raw or qcow2; tar for a tree")
    .option("--stdout", "write it to stdout, raw or tar")
    .action((name: string, file: string | undefined, options: ExportOptions) =>
      runExport(name, file, options, signal, say),
    );
  verb(
    "push <name> <target>",
    "Puts an image's files on a mirror: a directory, or an address that takes PUT.",
  )
    .option("--verify", "read everything back and compare it")
    .action((name: string, target: string, options: PushOptions) =>
      runPush(name, target, options, signal, say),
    );
}

async function runImport(
  name: string,
  source: string,
  { stateDir, kind, ...options }: ImportOptions,
  signal: AbortSignal,
  say: Say,
): Promise<void> {
  const stateDirectory = resolve(stateDir);
  const progress = createProgress(say, Date.now);
  const directory = await withWorkshop({ stateDirectory, fresh: false, progress, signal }, (shop) =>
    importImage(
      { ...shop, downloads: join(stateDirectory, "downloads"), stdin: process.stdin, meter },
      { name, source, ...options, ...(kind && { kind: kindOf(kind) }) },
    ),
  );
  // Its chunks have been moved into the store.
  if (await offerImage(stateDirectory, directory, say, true)) await rm(directory, { recursive: true });
}

async function runExport(
  name: string,
  file: string | undefined,
  { stateDir, format, stdout }: ExportOptions,
  signal: AbortSignal,
  say: Say,
): Promise<void> {
  if (Boolean(file) === Boolean(stdout)) throw new RefusedError("name either a file to write, or --stdout");
  const { store, manifest } = await stored(stateDir, name);
  const chosen = formatOf(manifest.kind, format);
  if (stdout && chosen === "qcow2") throw new RefusedError("qcow2 cannot be written to stdout; name a file");
  const progress = createMeter("export", meter);
  const options = { signal, onProgress: progress.at };
  try {
    if (file) await exportImage(store, manifest, { path: resolve(file), format: chosen }, options);
    else await exportStream(store, manifest, process.stdout, options);
  } finally {
    progress.end();
  }
  if (file)
    say(`${resolve(file)}: ${name} as ${chosen}, ${bytes(Number(manifest.sizeBytes))}, every chunk checked.`);
}

async function runPush(
  name: string,
  target: string,
  { stateDir, verify }: PushOptions,
  signal: AbortSignal,
  say: Say,
): Promise<void> {
  const { store, manifest, digest } = await stored(stateDir, name);
  const progress = createMeter("push", meter);
  try {
    const options = { signal, verify: verify ?? false, onProgress: progress.at };
    const pushed = await pushImage(store, { digest, manifest }, target, options);
    const there = pushed.there > 0 ? `, ${pushed.there} were there` : "";
    const checked = verify ? ", all read back and good" : "";
    say(
      `${name} ${digest.slice(0, 12)}: ${pushed.files} files, ${bytes(pushed.bytes)} pushed${there}${checked}.`,
    );
  } finally {
    progress.end();
  }
}

async function stored(stateDir: string, name: string) {
  const stateDirectory = resolve(stateDir);
  const store = join(stateDirectory, "images");
  const digest = await imageDigest(stateDirectory, name);
  return { store, digest, manifest: await storedManifest(store, digest) };
}
