// A source of files that has none, for tests whose steps need none.
import type { FileSource } from "./step.ts";

const refuse = () => Promise.reject(new Error("there are no files here"));

export const noFiles: FileSource = {
  tree: refuse,
  read: () => ({ [Symbol.asyncIterator]: () => ({ next: refuse }) }),
  put: refuse,
};
