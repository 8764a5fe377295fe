// AssignNodes: proposes nodes for what a cluster wants, and stores them as its nodes.
import { create } from "@bufbuild/protobuf";
import { foldNodes } from "../../proto/filter/node-list.ts";
import {
  type AssignNodesRequest,
  type AssignNodesResponse,
  AssignNodesResponseSchema,
  type Cluster,
} from "../../proto/gen/muster/v1/cluster_pb.ts";
import { ClusterNodeSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import { assign } from "../domain/assign.ts";
import type { Decision } from "../domain/decision.ts";
import { isRunning } from "../domain/schedule.ts";
import { put, type State } from "../domain/state.ts";
import { checkEtag, invalidField, notFound, refused } from "./context.ts";

/** Changes nothing. */
export function proposal(state: State, cluster: string): AssignNodesResponse {
  return propose(state, findCluster(state, cluster));
}

/** Stores the proposal that is made now; the etag says that the caller has seen the cluster as it is. */
export function assignNodes(
  decision: Decision,
  { cluster: name, etag }: AssignNodesRequest,
): AssignNodesResponse {
  const cluster = findCluster(decision.state, name);
  if (!etag)
    throw invalidField(
      "INVALID_REQUEST",
      "etag",
      "it is missing: with apply, say which cluster you have seen",
    );
  checkEtag(etag, `cluster ${name}`, cluster);
  const running = [...decision.state.deployments.values()].find(
    (deployment) => deployment.cluster === name && isRunning(deployment),
  );
  if (running) throw refused("BUSY", `${running.name} is running: wait for it or stop it first`);
  const proposed = propose(decision.state, cluster);
  const added = proposed.assigned.filter(({ kept }) => !kept);
  if (!added.length || !cluster.spec) return { ...proposed, cluster };
  const nodes = added.map(({ node, role }) => create(ClusterNodeSchema, { node, role }));
  const value = { ...cluster, spec: { ...cluster.spec, nodes: [...cluster.spec.nodes, ...nodes] } };
  decision.change(put({ case: "cluster", value }));
  const names = foldNodes(added.map(({ node }) => node));
  decision.event(Event_Severity.INFO, `cluster/${name}`, "ASSIGNED", `${names} by the operator`);
  return { ...proposed, cluster: value };
}

function propose(state: State, cluster: Cluster): AssignNodesResponse {
  const { assigned, rejected, warnings, faults } = assign(state, cluster);
  if (faults.length) {
    const violations = faults.map(({ role, description }) => ({
      type: "CANNOT_ASSIGN",
      subject: role ? `role/${role}` : `cluster/${cluster.name}`,
      description,
    }));
    throw refused(
      "CANNOT_ASSIGN",
      `cluster ${cluster.name} cannot be given the nodes that it wants`,
      violations,
    );
  }
  return create(AssignNodesResponseSchema, { assigned, rejected, warnings, cluster });
}

function findCluster(state: State, name: string): Cluster {
  const cluster = state.clusters.get(name);
  if (!cluster) throw notFound("cluster", name);
  return cluster;
}
