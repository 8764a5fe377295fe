// What a task of Fuel does, as an action of Muster; or why there is none.
import { type FuelTask, isRecord, yaqlOf } from "./fuel-tasks.ts";

export type FuelAction = {
  /** In the words of a manifest: `shell: {command: ...}`. */
  action: Record<string, unknown>;
  differences: Difference[];
  /** Nothing is done in its place, and why. */
  lost?: Difference;
  /** Settings that it reads. */
  settings: string[];
};

/** A message and the field of the task that it is about. */
export type Difference = { message: string; at: (string | number)[] };

/** Where the tree has the Puppet modules that Fuel's master gives to its nodes. */
export type Modules = {
  /** A file below the directory of modules, relative to the output, with that directory. */
  find(path: string): { source: string; modules: string } | undefined;
  /** The directory itself, relative to the output. */
  all(): string | undefined;
};

/** Seconds, attempts after the first, and seconds between them, where a task of Fuel says nothing. */
export const fuelDefaults: Record<string, { timeout: number; retries: number; interval: number }> = {
  puppet: { timeout: 5400, retries: 2, interval: 2 },
  shell: { timeout: 300, retries: 2, interval: 2 },
  upload_file: { timeout: 60, retries: 3, interval: 2 },
  upload_files: { timeout: 60, retries: 3, interval: 2 },
  copy_files: { timeout: 60, retries: 3, interval: 2 },
  sync: { timeout: 300, retries: 10, interval: 2 },
  reboot: { timeout: 900, retries: 0, interval: 2 },
};

const nothing = { action: { noop: {} }, differences: [], settings: [] };

export function actionOf(task: FuelTask, modules: Modules): FuelAction {
  const parameters = isRecord(task.fields.parameters) ? task.fields.parameters : {};
  const lost = (message: string, ...at: string[]) => ({
    ...nothing,
    lost: { message, at: ["parameters", ...at] },
  });
  switch (task.type) {
    case "puppet":
      return puppetOf(parameters, modules) ?? lost("has no puppet_manifest");
    case "shell":
      return shellOf(parameters) ?? lost(whyNot("the command", parameters.cmd), "cmd");
    case "upload_file":
      return uploadOf(parameters) ?? lost(whyNot("its content", parameters.data), "data");
    case "sync":
      return (
        syncOf(parameters, modules) ??
        lost("takes its files from Fuel's master: put them beside this file, and name them in `sync`", "src")
      );
    case "copy_files":
      return lost(
        "takes its files from Fuel's master: put them beside this file, and name them in `copy_files`",
        "files",
      );
    case "upload_files":
      return lost("has files for single nodes: a `template` can give each its own", "nodes");
    case "reboot":
      return { ...nothing, action: { reboot: {} } };
    case "skipped":
    case "noop":
    case "stage":
      return nothing;
    case "master_shell":
      return lost("runs on Fuel's master, where Muster runs nothing");
    case "move_to_bootstrap":
    case "cobbler_sync":
      return lost("Muster does this by itself before it provisions a node");
    case "erase_node":
      return lost("Muster does this by itself when a node is released");
    default:
      return { ...lost(""), lost: { message: `there is no type \`${task.type}\` in Muster`, at: ["type"] } };
  }
}

function whyNot(what: string, value: unknown): string {
  const yaql = yaqlOf(value);
  if (yaql !== undefined) return `${what} is worked out by YAQL, \`${short(yaql)}\`: write it as a template`;
  return value === undefined
    ? `${what} is missing`
    : `${what} or its path has words that only Fuel knows, such as {CLUSTER_ID}`;
}

function puppetOf(parameters: Record<string, unknown>, modules: Modules): FuelAction | undefined {
  const { puppet_manifest: manifest, puppet_modules: path, cwd } = parameters;
  if (typeof manifest !== "string") return undefined;
  const root = typeof path === "string" ? path.replace(/\/+$/, "") : "/etc/puppet/modules";
  const found = manifest.startsWith(`${root}/`) ? modules.find(manifest.slice(root.length + 1)) : undefined;
  if (found) return { ...nothing, action: { puppet: found }, differences: [] };
  // As Fuel does, with what is on the node. Exit code 0 means that nothing has changed, and 2 that something has.
  const command = `code=0; puppet apply --detailed-exitcodes --modulepath=${root} ${manifest} || code=$?\n[ $code != 0 ] || exit 100\n[ $code = 2 ]`;
  return {
    ...nothing,
    action: { shell: { command, unchanged_codes: [100], ...directory(cwd) } },
    differences: [
      {
        message: "its manifest is not in the tree: it runs the one that is on the node",
        at: ["parameters", "puppet_manifest"],
      },
    ],
  };
}

function shellOf({ cmd, cwd }: Record<string, unknown>): FuelAction | undefined {
  if (typeof cmd !== "string") return undefined;
  const settings: string[] = [];
  const command = cmd.replaceAll(/\{([A-Z][A-Z_]+)\}/g, (_, word: string) => {
    settings.push(word.toLowerCase());
    return `\${MUSTER_SETTING_${word}}`;
  });
  return { ...nothing, action: { shell: { command, ...directory(cwd) } }, settings };
}

function directory(cwd: unknown): { cwd?: string } {
  return typeof cwd === "string" && cwd !== "/" ? { cwd } : {};
}

function uploadOf({ path, data, ...others }: Record<string, unknown>): FuelAction | undefined {
  if (typeof path !== "string" || typeof data !== "string" || /\{[A-Z_]+\}/.test(path + data))
    return undefined;
  const { permissions, user_owner, group_owner, dir_permissions, overwrite } = others;
  const upload_file = {
    path,
    content: data,
    ...(permissions === undefined ? {} : { mode: String(permissions) }),
    ...(typeof user_owner === "string" ? { owner: user_owner } : {}),
    ...(typeof group_owner === "string" ? { group: group_owner } : {}),
  };
  const differences: Difference[] = [];
  if (dir_permissions !== undefined && String(dir_permissions) !== "0755") {
    differences.push({
      message: "directories are made with mode 0755",
      at: ["parameters", "dir_permissions"],
    });
  }
  if (overwrite === false) {
    differences.push({ message: "a file that is there is replaced", at: ["parameters", "overwrite"] });
  }
  return { action: { upload_file }, differences, settings: [] };
}

/** What Fuel's master gives to every node by rsync: its Puppet modules. */
function syncOf({ src, dst }: Record<string, unknown>, modules: Modules): FuelAction | undefined {
  if (typeof src !== "string" || typeof dst !== "string") return undefined;
  const source = /:\/\/.*\/puppet\/.*modules\/?$/.test(src) ? modules.all() : undefined;
  return source
    ? { ...nothing, action: { sync: { source, path: dst.replace(/\/+$/, ""), delete: true } } }
    : undefined;
}

export function short(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, " ");
  return line.length > 60 ? `${line.slice(0, 57)}...` : line;
}
