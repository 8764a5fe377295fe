// Files whose content is in the manifest.
import { filesDone, placeFile } from "../place-file.ts";
import type { Step } from "../step.ts";

export const uploadFile: Step<"uploadFile"> = async (file, context) => {
  const change = await placeFile({ ...file, content: Buffer.from(file.content) }, context);
  return filesDone([file.path], change ? [change] : [], context.check);
};

export const uploadFiles: Step<"uploadFiles"> = async ({ files }, context) => {
  const changes = [];
  for (const [index, file] of files.entries()) {
    context.signal.throwIfAborted();
    context.progress({ currentItems: index, totalItems: files.length, changedItems: changes.length });
    const change = await placeFile({ ...file, content: Buffer.from(file.content) }, context);
    if (change) changes.push(change);
  }
  context.progress({ currentItems: files.length, totalItems: files.length, changedItems: changes.length });
  return filesDone(
    files.map(({ path }) => path),
    changes,
    context.check,
  );
};
