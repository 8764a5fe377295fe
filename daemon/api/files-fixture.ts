// In place of the daemon's files, for tests of agents that ask for none.
import type { StepFilesContext } from "./step-files.ts";

const none = () => Promise.reject(new Error("not in this test"));

export const noFiles: StepFilesContext["files"] = {
  tree: none,
  isInTree: none,
  receive: none,
  finish: none,
  // biome-ignore lint/correctness/useYield: it refuses before there is anything to give.
  read: async function* () {
    await none();
  },
};

export const noFetchedFiles: StepFilesContext["fetched"] = { get: () => undefined, keep: none };
