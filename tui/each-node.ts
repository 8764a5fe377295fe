// What verbs do that take nodes: one by name, a list such as n[1-20], or all that a filter lets through.
import { expandNodes, isNodeList } from "../proto/filter/node-list.ts";
import { selectorFilter } from "../proto/filter/selector.ts";
import type { Operator } from "./client.ts";
import { errorLines, exitCode, RefusedError } from "./errors.ts";
import type { Io } from "./io.ts";
import { allPages } from "./pages.ts";

/** Machines answer their drivers slowly, and a daemon is asked for no more than this at once. */
const atOnce = 8;

/**
 * Does it for each node. What fails for one of several is told, and keeps none of the others from theirs; then it has
 * failed.
 */
export async function eachNode(
  operator: Operator,
  io: Io,
  selector: string,
  work: (node: string) => Promise<void>,
): Promise<number> {
  const names = await chosenNodes(operator, selector);
  const [only, another] = names;
  if (only !== undefined && another === undefined) {
    await work(only);
    return exitCode.ok;
  }
  let code: number = exitCode.ok;
  const waiting = names.values();
  const lane = async () => {
    for (const name of waiting) {
      if (io.signal.aborted) return;
      try {
        await work(name);
      } catch (error) {
        code = exitCode.failed;
        for (const line of errorLines(error)) io.err(line);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return io.signal.aborted ? exitCode.interrupted : code;
}

async function chosenNodes({ nodes }: Operator, selector: string): Promise<string[]> {
  if (isNodeList(selector)) return expandNodes(selector);
  const found = await allPages(
    (request) => nodes.listNodes(request),
    (page) => page.nodes,
    { filter: selectorFilter([selector]) },
  );
  if (!found.length) throw new RefusedError(`no node is chosen by ${selector}`);
  return found.map(({ name }) => name);
}
