// A cluster that says what it wants and is given nodes, over the daemon's socket.
import { afterAll, beforeAll, expect, it } from "vitest";
import { put } from "../../daemon/domain/state.ts";
import { AppliedDocument_Outcome as Outcome } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { Node_State } from "../../proto/gen/muster/v1/node_pb.ts";
import { codes } from "../../proto/rpc/status.ts";
import { startTestDaemon, type TestDaemon } from "./daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  const spare = (name: string, gib: bigint) =>
    put({
      case: "node",
      value: { name, state: Node_State.AVAILABLE, inventory: { memoryBytes: gib << 30n } },
    });
  daemon = await startTestDaemon([spare("a1", 64n), spare("a2", 32n), spare("a3", 128n)]);
});
afterAll(() => daemon[Symbol.asyncDispose]());

const scheme = `kind: Scheme
name: plain
disks: [{id: system}]
parteds: [{disks: system, partitions: [{name: bios, size: 1 MiB, flags: [bios_grub]}, {name: os, size: remaining}]}]
fss: [{device: partition/os, type: ext4, mount: /}]
---
{kind: Role, name: store, image: debian, scheme: plain, requirements: memory >= 64 GiB}`;
const wants = (count: number, nodes = "") =>
  `{kind: Cluster, name: pool, wants: [{role: store, count: ${count}}]${nodes && `, nodes: [${nodes}]`}}`;

const apply = async (...contents: string[]) => {
  const files = contents.map((content, i) => ({ path: `${i}.yaml`, content }));
  const { documents } = await daemon.muster.clusters.apply({ files });
  return documents.at(-1)?.outcome;
};
const nodesOf = async () => {
  const { cluster } = await daemon.muster.clusters.getCluster({ name: "pool" });
  return cluster?.spec?.nodes.map(({ node }) => node);
};

it("proposes, then gives the nodes to the cluster as the caller has seen it", async () => {
  const { clusters } = daemon.muster;
  expect(await apply(scheme, wants(1))).toBe(Outcome.CREATED);
  const { assigned, rejected, cluster } = await clusters.assignNodes({ cluster: "pool" });
  expect(assigned).toMatchObject([{ node: "a1", role: "store", kept: false }]);
  expect(rejected.map(({ node }) => node).sort()).toEqual(["a2", "a3", "n1", "n2"]);
  expect(await nodesOf()).toEqual([]);

  const wanted = { cluster: "pool", apply: true };
  await expect(clusters.assignNodes(wanted)).rejects.toMatchObject({
    code: codes.INVALID_ARGUMENT,
    fields: [{ field: "etag" }],
  });
  await expect(clusters.assignNodes({ ...wanted, etag: "1" })).rejects.toMatchObject({
    reason: "ETAG_MISMATCH",
  });
  const request = { ...wanted, etag: cluster?.etag, requestId: "assign-1" };
  const answer = await clusters.assignNodes(request);
  expect(answer.cluster?.spec?.nodes).toMatchObject([{ node: "a1", role: "store" }]);
  expect(await clusters.assignNodes(request)).toEqual(answer);
  expect(await nodesOf()).toEqual(["a1"]);
});

it("keeps the nodes when the manifest is applied again, as many as it wants", async () => {
  expect(await apply(wants(1))).toBe(Outcome.UNCHANGED);
  expect(await apply(wants(2))).toBe(Outcome.CHANGED);
  const { cluster } = await daemon.muster.clusters.assignNodes({ cluster: "pool" });
  await daemon.muster.clusters.assignNodes({ cluster: "pool", apply: true, etag: cluster?.etag });
  expect(await nodesOf()).toEqual(["a1", "a3"]);
  expect(await apply(wants(2, "{node: a3, role: store}"))).toBe(Outcome.CHANGED);
  expect(await nodesOf()).toEqual(["a3", "a1"]);
  expect(await apply(wants(1))).toBe(Outcome.CHANGED);
  expect(await nodesOf()).toEqual(["a3"]);
});

it("refuses what cannot be, and says why", async () => {
  await apply(wants(3));
  await expect(daemon.muster.clusters.assignNodes({ cluster: "pool" })).rejects.toMatchObject({
    code: codes.FAILED_PRECONDITION,
    reason: "CANNOT_ASSIGN",
    violations: [
      {
        subject: "role/store",
        description: expect.stringMatching(
          /^of 3 nodes 1 cannot be found\n.*a2: it does not meet `memory >= 64 GiB` \(it has 32 GiB\)/s,
        ),
      },
    ],
  });
  await expect(daemon.muster.clusters.assignNodes({ cluster: "none" })).rejects.toMatchObject({
    reason: "NOT_FOUND",
  });
});
