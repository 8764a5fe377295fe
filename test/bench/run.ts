// `npm run bench -- NAME [options]`: measures what the project promises, against a peer in the same run.
import { control } from "./control.ts";
import { disks } from "./disks-bench.ts";
import { image } from "./image.ts";
import { tasks } from "./tasks.ts";

const benches: Record<string, (argv: string[]) => Promise<boolean>> = { control, disks, image, tasks };

const [name = "", ...argv] = process.argv.slice(2);
const bench = benches[name];
if (!bench) {
  process.stderr.write(`usage: npm run bench -- ${Object.keys(benches).join("|")} [options]\n`);
  process.exit(2);
}
try {
  process.exitCode = (await bench(argv)) ? 0 : 1;
} catch (error) {
  process.stderr.write(`bench ${name}: ${error instanceof Error ? error.stack : error}\n`);
  process.exitCode = 1;
}
