// Forgets files that nobody needs, at the start and once an hour.
import type { Logger } from "pino";
import { neededTrees } from "../domain/needed-files.ts";
import type { FetchedFiles } from "../drivers/fetched-files.ts";
import type { FileStore } from "../drivers/file-store.ts";
import type { Engine } from "./engine.ts";

const everyMs = 60 * 60_000;

type Parts = { engine: Engine; files: FileStore; fetched: FetchedFiles; log: Logger };

/** The disposable ends it. */
export function collectFiles(parts: Parts): Disposable {
  void collectOnce(parts);
  const timer = setInterval(() => void collectOnce(parts), everyMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function collectOnce({ engine, files, fetched, log }: Parts): Promise<void> {
  try {
    const kept = fetched.all().map(({ digest }) => digest);
    const collected = await files.collect(neededTrees(engine.state), kept);
    if (collected) log.info({ collected }, "files that nobody needs were forgotten");
  } catch (error) {
    log.warn({ error: String(error) }, "files that nobody needs could not be forgotten");
  }
}
