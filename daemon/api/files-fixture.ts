// In place of the daemon's files, for tests of agents that ask for none.
import type { StepFilesContext } from "./step-files.ts";

const none = () => Promise.reject(new Error("not in this test"));

export const noFiles: StepFilesContext["files"] = {
  tree: none,
  isInTree: none,
  receive: none,
  finish: none,
  read: async function* () {
    yield await none();
  },
};

export const noFetchedFiles: StepFilesContext["fetched"] = { get: () => undefined, keep: none };
