// ClusterService.
import {
  type ClusterService,
  AppliedDocument_Outcome as Outcome,
} from "../../proto/gen/muster/v1/cluster_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import { decodeManifests, type Fault, formatFault } from "../../proto/manifest/decode.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { applyManifests, checkManifests } from "../domain/manifests.ts";
import { type ApiContext, byName, notFound, refused } from "./context.ts";

export function clusterService({ engine, store }: ApiContext): Handlers<typeof ClusterService> {
  return {
    apply: async ({ files, validateOnly }) => {
      const { documents, faults } = decodeManifests(files);
      if (faults.length) throw invalid(faults);
      const documentsApplied = await engine.decide((decision) => {
        const faults = checkManifests(decision.state, documents);
        if (faults.length) throw invalid(faults);
        const { changes, applied, busy } = applyManifests(decision.state, documents);
        if (busy.length) throw refused("BUSY", `a deployment is using ${busy.join(", ")}: stop it first`);
        if (!validateOnly) {
          decision.change(...changes);
          for (const { name, outcome } of applied) {
            if (outcome === Outcome.CREATED)
              decision.event(Event_Severity.INFO, name, "CREATED", "by a manifest");
            if (outcome === Outcome.CHANGED)
              decision.event(Event_Severity.INFO, name, "CHANGED", "by a manifest");
          }
        }
        return applied;
      });
      return { documents: documentsApplied, revision: store.revision };
    },
    listClusters: async () => ({
      clusters: byName(engine.state.clusters.values()),
      revision: store.revision,
    }),
    getCluster: async ({ name }) => {
      const cluster = engine.state.clusters.get(name);
      if (!cluster) throw notFound("cluster", name);
      return { cluster };
    },
  };
}

/** Every fault, each with its place, so that all can be mended at once. Nothing has been stored. */
function invalid(faults: Fault[]): RpcError {
  const fields = faults.map((fault) => ({
    field: `${fault.file}:${fault.line}:${fault.column}: ${fault.path}`,
    description: fault.message,
  }));
  const message = faults.map(formatFault).join("\n");
  return new RpcError(codes.INVALID_ARGUMENT, message, { reason: "INVALID_MANIFEST", fields });
}
