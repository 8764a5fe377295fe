// Starts the system's programs (mmdebstrap, mke2fs, mksquashfs, ...) and says which Debian package has one
// that is missing.
import { access, constants } from "node:fs/promises";
import { join } from "node:path";
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
  "dpkg-deb": "dpkg",
  "apt-config": "apt",
} as const;

export type Tool = keyof typeof packageOf;

/** Administrators' programs are in sbin, which is not on everybody's path. */
const searchPath = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

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
    if (!(error instanceof ExecaError)) throw error;
    if (error.isCanceled) throw new Error(`${tool} was interrupted`, { cause: error });
    throw new Error(`${tool} failed: ${lastLines(String(error.stderr || error.shortMessage))}`, {
      cause: error,
    });
  }
}

/** Throws an Error with one line per missing program. */
export async function requireTools(tools: Tool[]): Promise<void> {
  const missing: Tool[] = [];
  for (const tool of tools) if (!(await isInstalled(tool))) missing.push(tool);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => packageOf[tool]))];
  throw new Error(
    `the build needs ${missing.join(", ")}, which this machine does not have; install the Debian ` +
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
