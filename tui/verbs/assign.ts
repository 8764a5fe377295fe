// `muster assign`: which nodes a cluster gets for the roles that it wants, why each, and why not the others.
import { toJson } from "@bufbuild/protobuf";
import { foldNodes } from "../../proto/filter/node-list.ts";
import {
  type AssignNodesResponse,
  AssignNodesResponseSchema,
  type RejectedNode,
} from "../../proto/gen/muster/v1/cluster_pb.ts";
import { change } from "../change.ts";
import type { Operator } from "../client.ts";
import { exitCode } from "../errors.ts";
import { clean, plural } from "../format.ts";
import type { Io } from "../io.ts";
import { type OutputOptions, wantsJson } from "../output.ts";
import { indent, table } from "../text-table.ts";
import { agree } from "./agree.ts";

export async function assign(
  { clusters }: Operator,
  io: Io,
  cluster: string,
  options: OutputOptions & { plan?: boolean; yes?: boolean },
): Promise<number> {
  const proposal = await clusters.assignNodes({ cluster });
  const isJson = wantsJson(options);
  if (isJson) io.out(JSON.stringify(toJson(AssignNodesResponseSchema, proposal), null, 2));
  else for (const line of proposalLines(proposal)) io.out(line);
  for (const warning of proposal.warnings) io.err(`muster: ${clean(warning)}`);
  if (options.plan) return exitCode.ok;
  const added = proposal.assigned.filter(({ kept }) => !kept).map(({ node }) => node);
  if (!added.length) {
    if (!isJson) io.out(`cluster/${cluster} has all the nodes that it wants`);
    return exitCode.ok;
  }
  if (!options.yes) await agree(io, "the cluster's name", cluster);
  const etag = proposal.cluster?.etag ?? "";
  await change((requestId) => clusters.assignNodes({ cluster, apply: true, etag, requestId }));
  if (!isJson)
    io.out(
      `cluster/${cluster} has ${plural(added.length, "more node")}; deploy it: muster deploy ${cluster}`,
    );
  return exitCode.ok;
}

function proposalLines({ assigned, rejected }: AssignNodesResponse): string[] {
  const rows = assigned.map(({ node, role, kept, reason }) => [
    node,
    role,
    kept ? "kept" : "new",
    clean(reason),
  ]);
  const others = rejectedLines(rejected);
  return [
    ...table(["NODE", "ROLE", "", "WHY"], rows),
    ...(others.length ? ["Not chosen:", ...indent(others)] : []),
  ];
}

/** Nodes that have the same reason stand together. */
function rejectedLines(rejected: RejectedNode[]): string[] {
  const groups = Map.groupBy(rejected, ({ role, reason }) => (role ? `for ${role}: ${reason}` : reason));
  return [...groups].map(
    ([why, nodes]) =>
      `${foldNodes(nodes.map(({ node }) => node))}${why.startsWith("for ") ? " " : ": "}${clean(why)}`,
  );
}
