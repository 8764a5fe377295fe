// The plan of a cluster before it is deployed: what is destroyed stands out.
import type { Plan } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { planLines } from "../plan-text.ts";
import { margin, type Scene, type Screen, wrap } from "./lines.ts";

export function planScreen({ width }: Scene, plan: Plan): Screen {
  const body = planLines(plan).flatMap(({ text, tone }) =>
    folded(text, width - margin).map((part) => ({
      segments: [
        {
          text: part,
          tone: tone === "destroy" ? ("fail" as const) : ("plain" as const),
          bold: tone === "heading",
        },
      ],
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
