// The question before what cannot be taken back: the operator types the name of the thing.
import { RefusedError } from "../errors.ts";
import type { Io } from "../io.ts";

/** `what`: "the cluster's name". */
export async function agree(io: Io, what: string, name: string): Promise<void> {
  if (!io.interactive) throw new RefusedError("nobody can be asked here; --yes agrees to it");
  const answer = (await io.ask(`Type ${what} (${name}) to go on: `)).trim();
  if (!answer) throw new RefusedError("no name was typed; nothing was done");
  if (answer !== name) throw new RefusedError(`that is not ${what}; nothing was done`);
}
