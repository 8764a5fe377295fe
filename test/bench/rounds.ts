// Cases that are compared take turns, so that what disturbs the machine disturbs them all; medians are compared.
import { median } from "./timed.ts";

export type Run = { seconds: number; clientCpu: number; serverCpu: number };
export type Case = { name: string; run(): Promise<Run> };
export type Summary = Run & { name: string; least: number; most: number };

export async function inTurns(cases: readonly Case[], rounds: number): Promise<Map<string, Summary>> {
  const runs = new Map<string, Run[]>(cases.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, run } of cases) runs.get(name)?.push(await run());
  }
  return new Map([...runs].map(([name, all]) => [name, summary(name, all)]));
}

function summary(name: string, runs: readonly Run[]): Summary {
  const seconds = runs.map((run) => run.seconds);
  return {
    name,
    seconds: median(seconds),
    clientCpu: median(runs.map((run) => run.clientCpu)),
    serverCpu: median(runs.map((run) => run.serverCpu)),
    least: Math.min(...seconds),
    most: Math.max(...seconds),
  };
}

/** `bytes`: of the image's content in full. */
export function table(title: string, summaries: Iterable<Summary>, bytes: number): string {
  const gib = bytes / 2 ** 30;
  const rows = [...summaries].map(
    ({ name, seconds, clientCpu, serverCpu, least, most }) =>
      `${name.padEnd(52)} ${seconds.toFixed(2).padStart(7)} ${(bytes / 1e6 / seconds).toFixed(0).padStart(6)} ` +
      `${(clientCpu / gib).toFixed(2).padStart(7)} ${(serverCpu / gib).toFixed(2).padStart(7)}  ` +
      `[${least.toFixed(2)}-${most.toFixed(2)}]`,
  );
  const head = `${"".padEnd(52)} ${"wall s".padStart(7)} ${"MB/s".padStart(6)} ${"cli/GiB".padStart(7)} ${"srv/GiB".padStart(7)}`;
  return [title, head, ...rows].join("\n");
}
