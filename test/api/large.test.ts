// A cluster of a size that does not fit into what gRPC takes by default.
import { expect, it } from "vitest";
import { manifests, node } from "../../daemon/domain/plan-fixture.ts";
import { put } from "../../daemon/domain/state.ts";
import { codes } from "../../proto/rpc/status.ts";
import { startTestDaemon } from "./daemon.ts";

const count = 2_000;
const timeoutMs = 30_000;

const names = Array.from({ length: count }, (_, i) => `big-${i}`);
const places = names.map((name) => `  - {node: ${name}, role: plain}`).join("\n");
const content = `${manifests}---
{kind: Role, name: plain, image: debian, scheme: raid1-lvm}
---
kind: Cluster
name: big
nodes:
${places}
`;

it("says why a cluster of thousands of nodes cannot be planned", async () => {
  await using daemon = await startTestDaemon(
    names.map((name) => put({ case: "node", value: { ...node(name, 2), inventory: undefined } })),
  );
  await daemon.muster.clusters.apply({ files: [{ path: "big.yaml", content }] }, { timeoutMs });
  // One fault for each node is too much for the trailers of an error.
  const refusal = daemon.muster.deployments.planCluster({ cluster: "big" }, { timeoutMs });
  await expect(refusal).rejects.toMatchObject({ code: codes.FAILED_PRECONDITION, reason: "CANNOT_PLAN" });
});

it("plans, starts, reads and watches it when its hardware is known", async () => {
  await using daemon = await startTestDaemon(
    names.map((name) => put({ case: "node", value: node(name, 2) })),
  );
  const { clusters, deployments, watch } = daemon.muster;
  await clusters.apply({ files: [{ path: "big.yaml", content }] }, { timeoutMs });
  const { plan } = await deployments.planCluster({ cluster: "big" }, { timeoutMs });
  expect(plan?.nodes).toHaveLength(count);
  await deployments.startDeployment({ cluster: "big", planHash: plan?.hash }, { timeoutMs });
  const { steps } = await deployments.getDeployment({ name: "big" }, { timeoutMs });
  expect(steps).toHaveLength(plan?.steps.length ?? 0);
  let watched = 0;
  for await (const { change } of watch.watch({})) {
    if (change.case === "put" && change.value.kind.case === "step") watched++;
    if (change.case === "snapshotEnd") break;
  }
  expect(watched).toBe(steps.length);
}, 120_000);
