// Nodes by what operators say of them: names, labels, hardware, and facts that tasks have found out.

import type { Fields } from "../../proto/filter/filter.ts";
import { nodeFieldsWith } from "../../proto/filter/node-fields.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import type { State } from "./state.ts";

export function nodeFieldsOf({ taskRecords }: State): Fields<Node> {
  return nodeFieldsWith((node, task) => taskRecords.get(node)?.get(task)?.facts);
}
