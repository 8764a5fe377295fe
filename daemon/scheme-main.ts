// `muster scheme ...` and `muster inventory ...`: schemes tried on machines without a daemon. Exit codes: 0 done,
// 1 failed, 2 refused (with the reasons) or wrong options.
import { CommanderError } from "commander";
import { Refusal, schemeProgram } from "./scheme-cli.ts";

try {
  await schemeProgram((text) => process.stdout.write(text)).parseAsync(process.argv.slice(2), {
    from: "user",
  });
} catch (error) {
  // Commander has said already what is wrong.
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  process.stderr.write(`muster: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = error instanceof Refusal ? 2 : 1;
}
