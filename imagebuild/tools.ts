// Starts the system's programs (mmdebstrap, mke2fs, mksquashfs, ...) and says which Debian package has one
// that is missing.
import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { ExecaError, execa } from "execa";

const packageOf = {
  mmdebstrap: "mmdebstrap",
  tar: "tar",
  unshare: "util-linux",
  mke2fs: "e2fsprogs",
  dumpe2fs: "e2fsprogs",
  mksquashfs: "squashfs-tools",
  depmod: "kmod",
  modprobe: "kmod",
  debugfs: "e2fsprogs",
  blkid: "util-linux",
  "qemu-img": "qemu-utils",
  gzip: "gzip",
  xz: "xz-utils",
  bzip2: "bzip2",
  zstd: "zstd",
  curl: "curl",
  aria2c: "aria2",
  gpgv: "gpgv",
  "dpkg-deb": "dpkg",
  "apt-config": "apt",
} as const;

export type Tool = keyof typeof packageOf;

/** Administrators' programs are in sbin, which is not on everybody's path. */
const searchPath = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

/** A program that ended with a failure. */
export class ToolError extends Error {
  override name = "ToolError";
  /** Absent if it was killed. */
  readonly exitCode: number | undefined;

  constructor(message: string, exitCode: number | undefined, cause: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

export type ToolOptions = { signal?: AbortSignal; env?: Record<string, string> };

/** The program's output. Throws an Error that names the program and has its last words. */
export async function runTool(tool: Tool, args: string[], options: ToolOptions = {}): Promise<string> {
  try {
    const { stdout } = await execa(tool, args, {
      env: { LC_ALL: "C", ...options.env, PATH: searchPath },
      stdin: "ignore",
      maxBuffer: 64 << 20,
      ...(options.signal && { cancelSignal: options.signal }),
    });
    return stdout;
  } catch (error) {
    return failed(tool, error);
  }
}

/** Starts a program whose output is read while it runs; `finished` throws as runTool does. */
export function streamTool(
  tool: Tool,
  args: string[],
  input: AsyncIterable<Uint8Array>,
  options: ToolOptions = {},
): { output: Readable; finished: Promise<unknown> } {
  const child = execa(tool, args, {
    env: { LC_ALL: "C", PATH: searchPath },
    input: Readable.from(input, { objectMode: false }),
    buffer: { stdout: false },
    encoding: "buffer",
    ...(options.signal && { cancelSignal: options.signal }),
  });
  return { output: child.stdout, finished: child.catch((error: unknown) => failed(tool, error)) };
}

function failed(tool: Tool, error: unknown): never {
  if (!(error instanceof ExecaError)) throw error;
  if (error.isCanceled) throw new Error(`${tool} was interrupted`, { cause: error });
  const { stderr } = error;
  const words = ArrayBuffer.isView(stderr) ? Buffer.from(stderr as Uint8Array).toString() : stderr;
  throw new ToolError(
    `${tool} failed: ${lastLines(String(words || error.shortMessage))}`,
    error.exitCode,
    error,
  );
}

/** Throws an Error with one line per missing program. */
export async function requireTools(tools: Tool[]): Promise<void> {
  const missing: Tool[] = [];
  for (const tool of tools) if (!(await isInstalled(tool))) missing.push(tool);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => packageOf[tool]))];
  throw new Error(
    `this needs ${missing.join(", ")}, which this machine does not have; install the Debian ` +
      `package${packages.length > 1 ? "s" : ""}: apt-get install ${packages.join(" ")}`,
  );
}

async function isInstalled(tool: Tool): Promise<boolean> {
  for (const directory of searchPath.split(":").filter(Boolean)) {
    const found = await access(join(directory, tool), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-12).join("\n");
}
