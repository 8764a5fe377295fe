// Runs a command of the operator's with /bin/sh, as it stands in the manifest.
import type { Step } from "../step.ts";

export const shell: Step<"shell"> = async ({ command, environment }, { run }) => {
  const started = performance.now();
  // The step's own limit ends it, so the runner needs none.
  await run(["/bin/sh", "-e", "-c", command], { env: environment, timeoutMs: Infinity });
  return `the command succeeded after ${((performance.now() - started) / 1000).toFixed(1)} s`;
};
