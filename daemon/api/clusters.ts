// ClusterService.
import { clusterFields, documentFields } from "../../proto/filter/fields.ts";
import {
  type Cluster,
  ClusterSchema,
  ClusterService,
  type Document,
  DocumentSchema,
  AppliedDocument_Outcome as Outcome,
} from "../../proto/gen/muster/v1/cluster_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import { decodeManifests, type Fault, formatFault } from "../../proto/manifest/decode.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Decision } from "../domain/decision.ts";
import { forgetDeployment } from "../domain/deploy.ts";
import { sourceFaults } from "../domain/document-sources.ts";
import { applyManifests, checkManifests } from "../domain/manifests.ts";
import { usersOf } from "../domain/removal.ts";
import { isRunning } from "../domain/schedule.ts";
import type { State } from "../domain/state.ts";
import { assignNodes, proposal } from "./assign.ts";
import { type ApiContext, byName, checkEtag, notFound, refused } from "./context.ts";
import { answering } from "./file-errors.ts";
import type { Mutations } from "./mutations.ts";
import { pageOf } from "./pages.ts";

export function clusterService(
  { engine, store, files }: ApiContext,
  mutations: Mutations,
): Handlers<typeof ClusterService> {
  const { method } = ClusterService;
  return {
    apply: async (request) => {
      const { documents, faults } = decodeManifests(request.files);
      if (faults.length) throw invalid(faults);
      const missing = new Set(
        await answering(files.missingTrees(request.sources.map(({ digest }) => digest))),
      );
      return mutations.decide(method.apply, request, (decision) => {
        const faults = [
          ...checkManifests(decision.state, documents),
          ...sourceFaults(documents, request.sources, missing),
        ];
        if (faults.length) throw invalid(faults);
        const { changes, applied, busy } = applyManifests(decision.state, documents, request.sources);
        if (busy.length) throw refused("BUSY", `a deployment is using ${busy.join(", ")}: stop it first`);
        if (request.validateOnly || !changes.length)
          return { documents: applied, revision: decision.revision - 1n };
        decision.change(...changes);
        for (const { name, outcome } of applied) {
          const reason = outcome === Outcome.CREATED ? "CREATED" : "CHANGED";
          if (outcome !== Outcome.UNCHANGED)
            decision.event(Event_Severity.INFO, name, reason, "by a manifest");
        }
        return { documents: applied, revision: decision.revision };
      });
    },
    listClusters: async (request) => {
      const { items, nextPageToken } = await pageOf(request, {
        method: method.listClusters,
        schema: ClusterSchema,
        fields: clusterFields,
        items: byName(engine.state.clusters.values()),
        key: ({ name }) => name,
      });
      return { clusters: items, revision: store.revision, nextPageToken };
    },
    getCluster: async ({ name }) => ({ cluster: findCluster(engine.state, name) }),
    deleteCluster: (request) =>
      mutations.decide(method.deleteCluster, request, (decision) => {
        const cluster = findCluster(decision.state, request.name);
        checkEtag(request.etag, `cluster ${cluster.name}`, cluster);
        const own = [...decision.state.deployments.values()].filter(
          (other) => other.cluster === cluster.name,
        );
        const running = own.find(isRunning);
        if (running) throw refused("BUSY", `${running.name} is running: wait for it or stop it first`);
        if (request.validateOnly) return {};
        for (const deployment of own) forgetDeployment(decision, deployment);
        remove(decision, `cluster/${cluster.name}`);
        return {};
      }),
    listDocuments: async (request) => {
      const { items, nextPageToken } = await pageOf(request, {
        method: method.listDocuments,
        schema: DocumentSchema,
        fields: documentFields,
        items: byName(engine.state.documents.values()),
        key: ({ name }) => name,
      });
      return { documents: items, revision: store.revision, nextPageToken };
    },
    getDocument: async ({ name }) => ({ document: findDocument(engine.state, name) }),
    assignNodes: async (request) => {
      if (!request.apply) return proposal(engine.state, request.cluster);
      return mutations.decide(method.assignNodes, request, (decision) => assignNodes(decision, request));
    },
    deleteDocument: (request) =>
      mutations.decide(method.deleteDocument, request, (decision) => {
        const document = findDocument(decision.state, request.name);
        checkEtag(request.etag, document.name, document);
        const users = usersOf(decision.state, document.name);
        if (users.length) {
          const message = `${document.name} is named by ${users.join(", ")}: change or delete that first`;
          throw refused("IN_USE", message);
        }
        if (!request.validateOnly) remove(decision, document.name);
        return {};
      }),
  };
}

function remove(decision: Decision, name: string): void {
  decision.change({ delete: name });
  decision.event(Event_Severity.INFO, name, "DELETED", "by the operator");
}

function findCluster(state: State, name: string): Cluster {
  const cluster = state.clusters.get(name);
  if (!cluster) throw notFound("cluster", name);
  return cluster;
}

function findDocument(state: State, name: string): Document {
  const document = state.documents.get(name);
  if (!document) throw notFound("document", name);
  return document;
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
