// How many nodes of a role may fail before a deployment stops.
import { create } from "@bufbuild/protobuf";
import { type FaultTolerance, FaultToleranceSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { State } from "./state.ts";
import type { Place } from "./task-spread.ts";

/** Of the roles of these nodes that say so, in the order in which they come. */
export function tolerancesOf(state: State, places: readonly Place[]): FaultTolerance[] {
  const counts = new Map<string, number>();
  for (const { role } of places) counts.set(role, (counts.get(role) ?? 0) + 1);
  return [...counts].flatMap(([role, count]) => {
    const text = state.role(role)?.faultTolerance ?? "";
    return text ? [create(FaultToleranceSchema, { role, mayFail: mayFail(text, count) })] : [];
  });
}

/** `2`, `10%` (rounded down), or `-3`: at least three must succeed. */
function mayFail(text: string, count: number): number {
  const value = Number.parseInt(text, 10);
  if (text.endsWith("%")) return Math.min(count, Math.floor((count * value) / 100));
  return text.startsWith("-") ? Math.max(0, count + value) : Math.min(count, value);
}
