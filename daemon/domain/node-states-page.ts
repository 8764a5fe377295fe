// The page of the documentation about the life of a node, made from the table that decides it.
import { Node_State, Node_StateSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { isBusy, type NodeEvent, nodeEvents, nodeTransitions } from "./node.ts";

export function stateName(state: Node_State): string {
  return Node_StateSchema.value[state]?.localName ?? `${state}`;
}

export function nodeStatesPage(): string {
  const events = Object.entries(nodeEvents);
  const moves = Object.entries(nodeTransitions).flatMap(([from, targets]) =>
    Object.entries(targets).map(([event, to]) => ({
      from: Number(from) as Node_State,
      event: event as NodeEvent,
      to,
    })),
  );
  const arrows = [...Map.groupBy(moves, ({ from, to }) => `${stateName(from)} --> ${stateName(to)}`)].map(
    ([arrow, group]) => `    ${arrow}: ${group.map(({ event }) => event).join(", ")}`,
  );
  const rows = moves.map(({ from, event, to }) => `| ${stateName(from)} | ${event} | ${stateName(to)} |`);
  const busy = Object.values(Node_State)
    .filter((state) => isBusy(state))
    .map(stateName);
  return `${[
    "# The life of a node",
    "",
    "Made from the table in `daemon/domain/node.ts` by `npm run gen`; do not edit. An event that is not in the table",
    "leaves the state as it is.",
    "",
    "```mermaid",
    "stateDiagram-v2",
    ...arrows,
    "```",
    "",
    `In ${busy.join(", ")} a deployment works on the node: a stop ends all of them.`,
    "`muster explain NODE` says for every state why a node is in it and what would move it.",
    "",
    "Beside the state, not in it:",
    "",
    "- what the operator has set: `maintenance` (no step starts on it, its silence is no failure), `protected`",
    "  (nothing that wipes its disks may be planned), `retired` (it is not provisioned again);",
    "- `online`: its agent has a session;",
    "- faults of the machine or its surroundings: power driver, late heartbeats, clock, state rolled back.",
    "",
    "| event | when |",
    "|---|---|",
    ...events.map(([event, meaning]) => `| ${event} | ${meaning} |`),
    "",
    "| state | event | next state |",
    "|---|---|---|",
    ...rows,
  ].join("\n")}\n`;
}
