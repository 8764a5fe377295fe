// `muster approve` and `muster power`.
import { Node_State, PowerAction } from "../../proto/gen/muster/v1/node_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode, RefusedError } from "../errors.ts";
import type { Io } from "../io.ts";
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
    await nodes.approveNode({ name, code: options.code ?? "" });
    io.out(`node/${name} approved`);
    return exitCode.ok;
  }
  const waiting = (await nodes.listNodes({})).nodes.filter(
    ({ state }) => state === Node_State.AWAITING_APPROVAL,
  );
  for (const node of waiting) {
    await nodes.approveNode({ name: node.name });
    io.out(`node/${node.name} approved`);
  }
  if (!waiting.length) io.out("no node awaits approval");
  return exitCode.ok;
}

export const powerVerbs = ["on", "off", "cycle", "status"] as const;
export type PowerVerb = (typeof powerVerbs)[number];

const actions = { on: PowerAction.ON, off: PowerAction.OFF, cycle: PowerAction.CYCLE } as const;

// A driver waits for the machine's answer, and a cycle is two of them.
const powerTimeoutMs = 60_000;

export async function power({ nodes }: Operator, io: Io, verb: PowerVerb, name: string): Promise<number> {
  if (verb === "status") {
    const { node } = await nodes.getNode({ name });
    if (node) io.out(`node/${name} power ${powerWord(node.power)}`);
    return exitCode.ok;
  }
  const answer = await nodes.setNodePower({ name, action: actions[verb] }, { timeoutMs: powerTimeoutMs });
  io.out(`node/${name} power ${powerWord(answer.power)}`);
  return exitCode.ok;
}
