// Verbs on secrets.
import type { Command } from "commander";
import { RefusedError } from "../errors.ts";
import { deleteSecret, listSecrets, setSecret } from "../verbs/secret.ts";
import { type Connected, json, output } from "./connected.ts";

export function addSecrets(program: Command, connected: Connected): void {
  const secret = program
    .command("secret")
    .description("what steps need and manifests only name, such as the passphrase of a LUKS device");
  secret
    .command("set")
    .description("store a secret, or put another in its place: from the standard input, byte by byte")
    .argument("<name>")
    .option("--from <file>", "from a file instead")
    // Said better than as too many arguments: by now it is in the shell's history.
    .allowExcessArguments()
    .usage("<name> [--from <file>]")
    .action((name: string, options, command: Command) => {
      if (command.args.length > 1) {
        throw new RefusedError(
          "a secret is no argument, where everybody on this machine can read it: give it on the standard input, " +
            "or with --from FILE; and take another one, as the shell has this one in its history",
        );
      }
      return connected((operator, io) => setSecret(operator, io, name, options));
    });
  secret
    .command("list")
    .description("which secrets there are; their content is never shown")
    .option("--filter <filter>", "such as 'name = disk-*', or a word")
    .addOption(output())
    .addOption(json())
    .action((options) => connected((operator, io) => listSecrets(operator, io, options)));
  secret
    .command("delete")
    .description("forget a secret that no scheme names; asks first")
    .argument("<name>")
    .option("--yes", "delete it without being asked")
    .action((name: string, options) =>
      connected((operator, io) => deleteSecret(operator, io, name, options)),
    );
}
