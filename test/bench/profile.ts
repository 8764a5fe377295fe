// CPU profiles of the daemon's phases. It carries profile-hook.ts, which answers.
import type { Child } from "./children.ts";

export async function profiled<T>(
  directory: string | undefined,
  child: Child,
  phase: string,
  work: () => Promise<T>,
): Promise<T> {
  if (directory === undefined) return work();
  await child.ask("profile");
  const value = await work();
  await child.ask("save", `${directory}/${phase}.cpuprofile`);
  return value;
}
