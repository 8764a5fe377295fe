// Users and groups of this machine by name.
import { CommandError, type Runner } from "./runner.ts";

/** A name or a number; the agent's own, which is root, if empty. */
export function userId(name: string, run: Runner): Promise<number> {
  return idOf("passwd", "user", name, process.getuid?.() ?? 0, run);
}

export function groupId(name: string, run: Runner): Promise<number> {
  return idOf("group", "group", name, process.getgid?.() ?? 0, run);
}

async function idOf(table: string, what: string, name: string, own: number, run: Runner): Promise<number> {
  if (name === "") return own;
  if (name === "root") return 0;
  if (/^\d+$/.test(name)) return Number(name);
  try {
    const { stdout } = await run(["getent", table, name]);
    return Number(stdout.split(":")[2]);
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== 2) throw error;
    const remedy = "install the package that makes it, or make it in a task before";
    throw new CommandError(`there is no ${what} ${name} on this node; ${remedy}`, error.code);
  }
}
