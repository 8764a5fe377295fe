// `muster approve` and `muster power`.
import { Node_State, PowerAction } from "../../proto/gen/muster/v1/node_pb.ts";
import { change } from "../change.ts";
import type { Operator } from "../client.ts";
import { eachNode } from "../each-node.ts";
import { exitCode, RefusedError } from "../errors.ts";
import type { Io } from "../io.ts";
import { allPages } from "../pages.ts";
import { powerWord } from "../words.ts";

export async function approve(
  { nodes }: Operator,
  io: Io,
  name: string | undefined,
  options: { code?: string; all?: boolean },
): Promise<number> {
  if (Boolean(name) === Boolean(options.all))
    throw new RefusedError("approve needs the name of a node, or --all");
  if (options.all && options.code) throw new RefusedError("--code belongs to one node, not to --all");
  if (name) {
    await change((requestId) => nodes.approveNode({ name, code: options.code ?? "", requestId }));
    io.out(`node/${name} approved`);
    return exitCode.ok;
  }
  const all = await allPages(
    (request) => nodes.listNodes(request),
    (page) => page.nodes,
  );
  const waiting = all.filter(({ state }) => state === Node_State.AWAITING_APPROVAL);
  for (const { name: next } of waiting) {
    await change((requestId) => nodes.approveNode({ name: next, requestId }));
    io.out(`node/${next} approved`);
  }
  if (!waiting.length) io.out("no node awaits approval");
  return exitCode.ok;
}

export const powerVerbs = ["on", "off", "cycle", "status"] as const;
export type PowerVerb = (typeof powerVerbs)[number];

const actions = { on: PowerAction.ON, off: PowerAction.OFF, cycle: PowerAction.CYCLE } as const;

// A driver waits for the machine's answer, and a cycle is two of them.
const powerTimeoutMs = 60_000;

export function power(operator: Operator, io: Io, verb: PowerVerb, selector: string): Promise<number> {
  const { nodes } = operator;
  return eachNode(operator, io, selector, async (name) => {
    if (verb === "status") {
      const { node } = await nodes.getNode({ name });
      if (node) io.out(`node/${name} power ${powerWord(node.power)}`);
      return;
    }
    const action = actions[verb];
    const answer = await change((requestId) =>
      nodes.setNodePower({ name, action, requestId }, { timeoutMs: powerTimeoutMs }),
    );
    io.out(`node/${name} power ${powerWord(answer.power)}`);
  });
}
