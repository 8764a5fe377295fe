// What an operator's program meets in lists, flags and deletions, over the daemon's socket.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { manifests } from "../../daemon/domain/plan-fixture.ts";
import { put } from "../../daemon/domain/state.ts";
import { AppliedDocument_Outcome as Outcome } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { Node_State, PowerAction } from "../../proto/gen/muster/v1/node_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import { codes } from "../../proto/rpc/status.ts";
import { startTestDaemon, type TestDaemon } from "./daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  const many = Array.from({ length: 1_200 }, (_, i) =>
    put({
      case: "node",
      value: {
        name: `spare-${`${i}`.padStart(4, "0")}`,
        state: i % 2 ? Node_State.DISCOVERED : Node_State.AWAITING_APPROVAL,
        pendingKeyDigest: i % 2 ? "" : "k".repeat(64),
        approvalCode: i % 2 ? "" : "AB12-CD34",
      },
    }),
  );
  daemon = await startTestDaemon(many);
});
afterAll(() => daemon[Symbol.asyncDispose]());

const badRequest = (reason: string, field: string) => ({
  code: codes.INVALID_ARGUMENT,
  reason,
  fields: [{ field }],
});

describe("pages", () => {
  it("hold 100 by default and 1000 at most, in order, and say the revision", async () => {
    const { nodes } = daemon.muster;
    const first = await nodes.listNodes({});
    expect(first.nodes).toHaveLength(100);
    expect(first.revision).toBeGreaterThan(0n);
    const names = first.nodes.map(({ name }) => name);
    expect(names).toEqual([...names].sort());
    expect((await nodes.listNodes({ pageSize: 5_000 })).nodes).toHaveLength(1000);
  });

  it("give everything once, also when things come and go between them", async () => {
    const { nodes } = daemon.muster;
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await nodes.listNodes({ pageSize: 400, pageToken, filter: "spare" });
      seen.push(...page.nodes.map(({ name }) => name));
      pageToken = page.nextPageToken;
      const gone = page.nodes[0];
      if (gone && seen.length === 400) await nodes.deleteNode({ name: gone.name, etag: gone.etag });
    } while (pageToken);
    expect(seen).toHaveLength(1_200);
    expect(new Set(seen).size).toBe(1_200);
  });

  it("refuse a negative size, a made-up token, and that of another filter or call", async () => {
    const { nodes, clusters } = daemon.muster;
    const { nextPageToken: pageToken } = await nodes.listNodes({ pageSize: 1 });
    await expect(nodes.listNodes({ pageSize: -1 })).rejects.toMatchObject(
      badRequest("INVALID_REQUEST", "pageSize"),
    );
    for (const call of [
      nodes.listNodes({ pageToken: "abc" }),
      nodes.listNodes({ pageToken: `${pageToken}!` }),
      nodes.listNodes({ pageToken, filter: "n1" }),
      clusters.listClusters({ pageToken }),
    ]) {
      await expect(call).rejects.toMatchObject(badRequest("INVALID_PAGE_TOKEN", "pageToken"));
    }
  });

  it("are filtered, and an unknown field is refused with the nearest", async () => {
    const { nodes } = daemon.muster;
    const found = await nodes.listNodes({ filter: "state = discovered AND name = *07", pageSize: 1000 });
    expect(found.nodes.map(({ name }) => name)).toEqual(
      Array.from({ length: 12 }, (_, i) => `spare-${`${i}`.padStart(2, "0")}07`),
    );
    await expect(nodes.listNodes({ filter: "stat = READY" })).rejects.toMatchObject({
      ...badRequest("INVALID_FILTER", "filter"),
      message: expect.stringContaining("did you mean `state`?"),
    });
  });
});

describe("a node", () => {
  it("takes the operator's flags by mask, and refuses what cannot be set", async () => {
    const { nodes } = daemon.muster;
    const name = "spare-0010";
    const { node: before } = await nodes.getNode({ name });
    const set = { name, maintenance: true, maintenanceReason: "new fan", hostname: "stays" };
    const checked = await nodes.updateNode({ node: set, validateOnly: true });
    expect(checked.node).toMatchObject({ maintenance: true, revision: before?.revision });
    expect((await nodes.getNode({ name })).node).toMatchObject({ maintenance: false });

    const { node } = await nodes.updateNode({ node: set, etag: before?.etag });
    expect(node).toMatchObject({ maintenance: true, maintenanceReason: "new fan", hostname: "" });
    expect(node?.etag).not.toBe(before?.etag);
    const off = await nodes.updateNode({ node: { name }, updateMask: { paths: ["maintenance"] } });
    expect(off.node).toMatchObject({ maintenance: false, maintenanceReason: "new fan" });

    const paths = ["maintenance", "state", "no_such"];
    await expect(nodes.updateNode({ node: set, updateMask: { paths } })).rejects.toMatchObject({
      code: codes.INVALID_ARGUMENT,
      reason: "INVALID_UPDATE_MASK",
      message: expect.stringContaining("what can be is maintenance, maintenance_reason, protected, retired"),
      fields: [{ field: "updateMask.paths[1]" }, { field: "updateMask.paths[2]" }],
    });
    await expect(nodes.updateNode({ node: set, etag: before?.etag })).rejects.toMatchObject({
      code: codes.ABORTED,
      reason: "ETAG_MISMATCH",
      metadata: { etag: off.node?.etag },
    });
    await expect(nodes.updateNode({ node: { name: "none" } })).rejects.toMatchObject({
      code: codes.NOT_FOUND,
    });
  });

  it("is approved once, by its code", async () => {
    const { nodes } = daemon.muster;
    const name = "spare-0012";
    await expect(nodes.approveNode({ name, code: "0000-0000" })).rejects.toMatchObject(
      badRequest("WRONG_CODE", "code"),
    );
    expect((await nodes.approveNode({ name, code: "AB12-CD34" })).node?.state).toBe(Node_State.AVAILABLE);
    expect((await nodes.approveNode({ name })).node?.state).toBe(Node_State.AVAILABLE);
    await expect(nodes.approveNode({ name: "spare-0013" })).rejects.toMatchObject({
      code: codes.FAILED_PRECONDITION,
      reason: "NOT_WAITING",
    });
  });

  it("without a power driver cannot be switched", async () => {
    const call = daemon.muster.nodes.setNodePower({ name: "n1", action: PowerAction.ON });
    await expect(call).rejects.toMatchObject({
      code: codes.FAILED_PRECONDITION,
      reason: "NO_POWER_DRIVER",
    });
  });

  it("is forgotten only by one who has seen it as it is", async () => {
    const { nodes, watch } = daemon.muster;
    const name = "spare-0020";
    const { node } = await nodes.getNode({ name });
    const etag = node?.etag ?? "";
    await expect(nodes.deleteNode({ name })).rejects.toMatchObject(badRequest("INVALID_REQUEST", "etag"));
    await expect(nodes.deleteNode({ name, etag: "0" })).rejects.toMatchObject({ reason: "ETAG_MISMATCH" });
    await nodes.deleteNode({ name, etag, validateOnly: true });
    await nodes.getNode({ name });
    await nodes.deleteNode({ name, etag });
    await expect(nodes.getNode({ name })).rejects.toMatchObject({ code: codes.NOT_FOUND });
    const { events } = await watch.listEvents({ filter: `subject = node/${name}` });
    expect(events).toMatchObject([{ reason: "DELETED", severity: Event_Severity.INFO }]);
  });
});

describe("documents and clusters", () => {
  it("are listed, read, checked and deleted from the outside in", async () => {
    const { clusters, nodes } = daemon.muster;
    const files = [{ path: "demo.yaml", content: manifests }];
    const checked = await clusters.apply({ files, validateOnly: true });
    expect(checked.documents[0]).toMatchObject({ outcome: Outcome.CREATED });
    expect((await clusters.listClusters({})).clusters).toEqual([]);
    const applied = await clusters.apply({ files });
    const again = await clusters.apply({ files });
    expect(again.documents.every(({ outcome }) => outcome === Outcome.UNCHANGED)).toBe(true);
    expect(again.revision).toBe(applied.revision);

    const { documents } = await clusters.listDocuments({ filter: "kind = task" });
    expect(documents.map(({ name }) => name)).toEqual(["task/announce", "task/install", "task/join"]);
    const role = (await clusters.getDocument({ name: "role/compute" })).document;
    await expect(clusters.deleteDocument({ name: "role/compute", etag: role?.etag })).rejects.toMatchObject({
      code: codes.FAILED_PRECONDITION,
      reason: "IN_USE",
    });
    const n1 = (await nodes.getNode({ name: "n1" })).node;
    await expect(nodes.deleteNode({ name: "n1", etag: n1?.etag })).rejects.toMatchObject({
      reason: "IN_USE",
    });

    const { cluster } = await clusters.getCluster({ name: "demo" });
    await clusters.deleteCluster({ name: "demo", etag: cluster?.etag });
    for (const name of ["task/join", "task/announce", "task/install", "role/compute", "role/controller"]) {
      const { document } = await clusters.getDocument({ name });
      await clusters.deleteDocument({ name, etag: document?.etag });
    }
    expect((await clusters.listDocuments({})).documents.map(({ name }) => name)).toEqual([
      "scheme/raid1-lvm",
    ]);
  });

  it("whose text could not be stored are refused with their place", async () => {
    for (const labels of ['{ rack: "\\uD800" }', '{ "\\uD800": r1 }']) {
      const content = `kind: Node\nname: odd\nmacs: ["52:54:00:00:00:99"]\nlabels: ${labels}\n`;
      await expect(
        daemon.muster.clusters.apply({ files: [{ path: "odd.yaml", content }] }),
      ).rejects.toMatchObject({
        code: codes.INVALID_ARGUMENT,
        reason: "INVALID_MANIFEST",
        fields: [{ field: expect.stringMatching(/^odd\.yaml:4:/) }],
      });
    }
  });
});
