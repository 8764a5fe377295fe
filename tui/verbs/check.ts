// What `muster deploy --noop` shows in the end: what every task would change, nodes with the same changes together.
import { toJson } from "@bufbuild/protobuf";
import { type Step, StepSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { painter } from "../ansi.ts";
import type { Operator } from "../client.ts";
import { plural } from "../format.ts";
import type { Io } from "../io.ts";
import { jsonList, type OutputOptions, wantsJson } from "../output.ts";
import { allPages } from "../pages.ts";
import { checkLines } from "../task-changes.ts";
import { isJoin } from "../words.ts";

/** `names`: checks that have ended, of one graph each. */
export async function showCheck(
  { deployments }: Operator,
  io: Io,
  names: readonly string[],
  options: OutputOptions,
): Promise<void> {
  const steps: Step[] = [];
  for (const deployment of names) {
    const all = await allPages(
      (request) => deployments.listSteps({ ...request, deployment }),
      (page) => page.steps,
    );
    steps.push(...all.filter((step) => !isJoin(step)));
  }
  if (wantsJson(options)) {
    io.out(jsonList(steps.map((step) => toJson(StepSchema, step))));
    return;
  }
  const paint = painter(io);
  io.out("");
  for (const { text, tone } of checkLines(steps)) io.out(paint(text, tone));
  io.out(verdict(steps));
}

function verdict(steps: Step[]): string {
  const changing = steps.filter(({ outcome }) => outcome === TaskOutcome.CHANGED);
  if (!changing.length) return "nothing would change; nothing has been changed";
  const nodes = new Set(changing.map(({ node }) => node));
  return `${plural(changing.length, "task")} on ${plural(nodes.size, "node")} would change something; nothing has been changed`;
}
