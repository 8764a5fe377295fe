// Applies Puppet code with the node's own puppet, without a server.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommandError } from "../runner.ts";
import type { Step } from "../step.ts";

/** --detailed-exitcodes: 0 nothing to do, 2 changed; 1, 4 and 6 are failures. */
const changed = 2;
const failures: Record<number, string> = {
  1: "the manifest does not compile or Puppet could not run",
  4: "some resources failed",
  6: "there were changes, and some resources failed",
};

export const puppet: Step<"puppet"> = async ({ manifest }, { run }) => {
  const dir = await mkdtemp(join(tmpdir(), "muster-puppet-"));
  try {
    const file = join(dir, "manifest.pp");
    await writeFile(file, manifest);
    const result = await run(
      ["puppet", "apply", "--detailed-exitcodes", "--logdest", "console", "--color", "false", file],
      {
        // Puppet wants UTF-8, and its own packages install it outside the usual path.
        env: {
          PATH: `${process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin"}:/opt/puppetlabs/bin`,
          LC_ALL: "C.UTF-8",
        },
        okCodes: [0, changed],
        timeoutMs: Infinity,
      },
    );
    return result.code === changed ? "changed" : "no change";
  } catch (error) {
    throw explain(error);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};

function explain(error: unknown): unknown {
  if (!(error instanceof CommandError)) return error;
  if (error.message.includes("ENOENT")) {
    return new CommandError(
      "the node has no puppet: add puppet-agent to the packages of the image's recipe",
      -1,
    );
  }
  const why = failures[error.code];
  return why ? new CommandError(`puppet apply: ${why}: ${error.message}`, error.code) : error;
}
