// The plan of a cluster before it is deployed: what is destroyed stands out.
import type { Plan } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { PlanLine } from "../plan-node.ts";
import { planLines } from "../plan-text.ts";
import type { Tone } from "../words.ts";
import { margin, type Scene, type Screen, wrap } from "./lines.ts";

const tones: Record<NonNullable<PlanLine["tone"]>, Tone> = {
  heading: "plain",
  destroy: "fail",
  keep: "ok",
  warn: "warn",
};

export function planScreen({ width }: Scene, plan: Plan): Screen {
  const room = width - margin;
  const body = planLines(plan, { width: room }).flatMap(({ text, tone }) =>
    folded(text, room).map((part) => ({
      segments: [{ text: part, tone: tone ? tones[tone] : "plain", bold: tone === "heading" }],
    })),
  );
  return { title: `Plan › ${plan.cluster}`, head: [], body };
}

/** Nothing of a plan may be cut off: what does not fit goes on below, further in. */
function folded(text: string, width: number): string[] {
  if (text.length <= width) return [text];
  const depth = text.length - text.trimStart().length;
  const [first = "", ...rest] = wrap(text.trimStart(), width - depth - 4);
  return [" ".repeat(depth) + first, ...rest.map((part) => " ".repeat(depth + 4) + part)];
}
