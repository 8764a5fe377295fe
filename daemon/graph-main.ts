// `muster graph import ...`: other tools' task graphs as manifests, without a daemon. Exit codes: 0 done, 1 failed,
// 2 refused (with the reasons) or wrong options.
import { CommanderError } from "commander";
import { ImportRefusal } from "./domain/graph-import/imported.ts";
import { graphProgram } from "./graph-cli.ts";

const print = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(`${text}\n`),
};

try {
  await graphProgram(print).parseAsync(process.argv.slice(2), { from: "user" });
} catch (error) {
  // Commander has said already what is wrong.
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  process.stderr.write(`muster: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = error instanceof ImportRefusal ? 2 : 1;
}
