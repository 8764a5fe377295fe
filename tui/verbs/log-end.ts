// The last lines of a step's log, without reading all of it: for what has failed, and for descriptions.
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Operator } from "../client.ts";
import { clean } from "../format.ts";
import { filterOf } from "../pages.ts";
import { LineSplitter } from "./logs.ts";

const tailBytes = 16n << 10n;

/** `step` is DEPLOYMENT/NODE/TASK. At most `count` lines of its last attempt; none if it has no log. */
export async function lastLines(operator: Operator, step: string, count: number): Promise<string[]> {
  const [deployment, node, task] = step.split("/");
  const filter = filterOf({ deployment, node, task });
  const { attempts } = await operator.deployments.listAttempts({ filter, pageSize: 1 });
  const size = attempts[0]?.logBytes ?? 0n;
  const offset = size > tailBytes ? size - tailBytes : 0n;
  const splitter = new LineSplitter();
  // The first line is cut, unless it is that of the log.
  let cut = offset > 0n;
  let lines: string[] = [];
  const keep = (more: string[]) => {
    lines = [...lines, ...more.slice(cut ? 1 : 0).map(clean)].slice(-count);
    cut &&= more.length === 0;
  };
  try {
    for await (const { content } of operator.watch.tailLog({ step, offset })) keep(splitter.push(content));
  } catch (error) {
    // A step of the daemon's own, such as bootstrap, may have no log.
    if (!(error instanceof RpcError && error.code === codes.NOT_FOUND)) throw error;
  }
  keep(splitter.end());
  return lines.filter((line) => line.trim());
}
