// `muster image ...`: builds OS images and the bootstrap ramdisk, and hands images to the daemon.
import { join, resolve } from "node:path";
import { Command, CommanderError } from "commander";
import { exitCodeOf, RefusedError } from "./errors.ts";
import { buildImage } from "./image.ts";
import { createProgress } from "./progress.ts";
import { buildRamdisk } from "./ramdisk.ts";
import { readRecipe } from "./recipe.ts";
import { withWorkshop } from "./stage.ts";
import { collectImages, deleteImage, offerImage, registerImage, repairImage, verifyImage } from "./store.ts";
import { addTransferVerbs } from "./transfer-verbs.ts";

type StateOption = { stateDir: string };
type BuildOptions = StateOption & { ramdisk?: boolean; fresh?: boolean };

const say = (line: string) => void process.stdout.write(`${line}\n`);

function createProgram(signal: AbortSignal): Command {
  const program = new Command("muster image")
    .description("Builds and imports OS images, hands them to the daemon, and takes them elsewhere.")
    .exitOverride();
  const verb = (usage: string, description: string) =>
    program
      .command(usage)
      .description(description)
      .option(
        "--state-dir <directory>",
        "the daemon's state directory (or MUSTER_STATE_DIR)",
        process.env.MUSTER_STATE_DIR || "/var/lib/muster",
      );
  verb("build [recipe]", "Builds the image of a recipe, or the bootstrap ramdisk.")
    .option("--ramdisk", "build the bootstrap ramdisk")
    .option("--fresh", "reuse nothing of earlier builds: takes the packages of today")
    .action((recipe: string | undefined, options: BuildOptions) => build(recipe, options, signal));
  verb("register <directory>", "Hands an image that was built here to the daemon.").action(
    (directory: string, { stateDir }: StateOption) =>
      registerImage(resolve(stateDir), resolve(directory), say),
  );
  verb("verify <name>", "Lets the daemon read every chunk of an image and names the bad ones.").action(
    async (name: string, { stateDir }: StateOption) => {
      if (!(await verifyImage(resolve(stateDir), name, say))) process.exitCode = 1;
    },
  );
  verb("repair <name>", "Replaces the bad chunks of an image with good ones.")
    .requiredOption("--from <directory>", "a directory with the same image: what `build` made, or a mirror's")
    .action((name: string, { stateDir, from }: StateOption & { from: string }) =>
      repairImage(resolve(stateDir), name, resolve(from), say),
    );
  verb("delete <name>", "Forgets an image that no role and no running deployment uses.").action(
    (name: string, { stateDir }: StateOption) => deleteImage(resolve(stateDir), name, say),
  );
  verb("gc", "Removes the content that no image needs any more.")
    .option("--dry-run", "only say what would go")
    .option("--keep <number>", "former contents that each image keeps (1 if absent)", wholeNumber)
    .action(({ stateDir, dryRun, keep }: StateOption & { dryRun?: boolean; keep?: number }) =>
      collectImages(resolve(stateDir), { dryRun: dryRun ?? false, ...(keep !== undefined && { keep }) }, say),
    );
  addTransferVerbs(verb, signal, say);
  return program;
}

function wholeNumber(text: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new RefusedError(`${text} is no number from 0 to 999`);
}

async function build(
  recipePath: string | undefined,
  options: BuildOptions,
  signal: AbortSignal,
): Promise<void> {
  if (Boolean(recipePath) === Boolean(options.ramdisk)) {
    throw new RefusedError("name either a recipe, such as examples/debian-12.yaml, or --ramdisk");
  }
  const stateDirectory = resolve(options.stateDir);
  const progress = createProgress(say, Date.now);
  const fresh = options.fresh ?? false;
  if (!recipePath) {
    const boot = join(stateDirectory, "boot");
    await withWorkshop({ stateDirectory, fresh, progress, signal }, (shop) => buildRamdisk(shop, boot));
    say(`The ramdisk is in ${boot}.`);
    return;
  }
  const recipe = await readRecipe(recipePath);
  const directory = await withWorkshop({ stateDirectory, fresh, progress, signal }, (shop) =>
    buildImage(shop, recipe),
  );
  say(`The image is in ${directory}.`);
  await offerImage(stateDirectory, directory, say);
}

const interruption = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => interruption.abort(new Error(`interrupted by ${name}`)));
}
try {
  await createProgram(interruption.signal).parseAsync();
} catch (error) {
  const reason = interruption.signal.aborted ? interruption.signal.reason : error;
  // Commander has said already what is wrong.
  if (!(reason instanceof CommanderError)) {
    process.stderr.write(`muster image: ${reason instanceof Error ? reason.message : String(reason)}\n`);
  }
  process.exitCode = exitCodeOf(reason);
}
