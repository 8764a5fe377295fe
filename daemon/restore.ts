// `muster restore`: puts a backup in the place of a state directory. No daemon may run on it.
import { Command, CommanderError } from "commander";
import { exitCodeHelp, stateExitCode } from "./state/errors.ts";
import { restoreBackup } from "./state/restore.ts";

const program = new Command("muster restore")
  .description("makes a state directory from a backup; stop the daemon before")
  .argument("<file>", "what `muster backup` has written")
  .option("--state-dir <dir>", "where to", process.env.MUSTER_STATE_DIR ?? "/var/lib/muster")
  .option("--force", "move the state that is there aside, to before-restore-TIME below the state directory")
  .addHelpText(
    "after",
    `
Images and logs are not part of a backup. Those that are in the state directory stay; register other images
again with \`muster image register\`.

Exit codes:
  0   restored
  1   failed
  2   wrong options
${exitCodeHelp(["inUse", "newer", "damaged", "forbidden", "readOnly", "notADirectory", "unwritable", "badBackup", "notEmpty"])}`,
  )
  .exitOverride();

try {
  program.parse();
  const [file = ""] = program.args;
  const { stateDir, force = false } = program.opts<{ stateDir: string; force?: boolean }>();
  const { backedUpRevision, revision, aside } = await restoreBackup(file, stateDir, {
    force,
    nowMs: Date.now(),
  });
  process.stdout.write(
    `${stateDir} is as it was at revision ${backedUpRevision}; it goes on from ${revision}\n`,
  );
  if (aside) process.stdout.write(`what was there before is in ${aside}\n`);
  process.stdout.write("images and logs are not part of a backup; start `muster daemon`\n");
} catch (error) {
  // Commander has said already what is wrong.
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  process.stderr.write(`muster restore: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = stateExitCode(error) ?? 1;
}
