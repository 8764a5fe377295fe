// The order of a plan's steps as lines. Pure.
import type { Plan } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { formatDuration, plural } from "../format.ts";
import { nodesText } from "../node-names.ts";
import { columns, indent } from "../text-table.ts";
import type { Order } from "./order.ts";

export function orderLines({ cluster }: Plan, { waves, leftOut, path, pathMs, known }: Order): string[] {
  const count = waves.reduce((sum, members) => sum + members.length, 0);
  const left = leftOut ? `, ${leftOut} left out` : "";
  const rows = waves.flatMap((members, wave) =>
    [...Map.groupBy(members, ({ task }) => task)].map(([task, steps]) => {
      const limit = steps.reduce((high, one) => Math.max(high, one.limit), 0);
      const notes = [
        limit > 0 && limit < steps.length && `${limit} at once`,
        steps.some(({ hold }) => hold) && "held: waits for a go",
        steps.some(({ condition }) => condition) && "conditional",
      ].filter(Boolean);
      return [`${wave + 1}.`, task, nodesText(steps.map(({ node }) => node)), notes.join(", ")];
    }),
  );
  return [
    `Order of cluster ${cluster}: ${plural(count, "step")} in ${plural(waves.length, "wave")}${left}`,
    ...indent(columns(rows)),
    ...(path.length ? ["", ...pathLines(path, pathMs, known, count)] : []),
  ];
}

function pathLines(path: Order["path"], pathMs: number, known: number, count: number): string[] {
  if (known === 0) {
    const title = `Critical path: ${plural(path.length, "step")}; none has been done before, so each counts the same`;
    return [title, ...indent(path.map(({ id }) => id))];
  }
  const rest = known === count ? "" : "; the others as their task on other nodes, or 1s";
  return [
    `Critical path: at least ${formatDuration(pathMs)}, by what ${known} of ${plural(count, "step")} took the last time${rest}`,
    ...indent(columns(path.map(({ id, lengthMs }) => [id, formatDuration(lengthMs)]))),
  ];
}
