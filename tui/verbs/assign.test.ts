import { expect, it } from "vitest";
import type { AssignNodesRequest } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { done, muster, start } from "../testing/muster.ts";

const proposal = {
  assigned: [
    { node: "n1", role: "ctl", kept: true, reason: "the cluster has it already" },
    { node: "n2", role: "web", reason: "the smallest that does: 64 GiB" },
  ],
  rejected: [
    { node: "n3", reason: "it is retired" },
    { node: "n4", reason: "it is retired" },
    { node: "n5", role: "web", reason: "it does not meet `memory > 1 GiB` (it has 1 GiB)" },
  ],
  warnings: ["role ctl will have 1 of the 3 nodes that are recommended"],
  cluster: { name: "demo", etag: "42" },
};

async function daemon(answer = proposal) {
  const requests: AssignNodesRequest[] = [];
  const assignNodes = async (request: AssignNodesRequest) => {
    requests.push(request);
    return answer;
  };
  return { fake: await start({ clusters: { assignNodes } }), requests };
}

it("shows the proposal with its reasons, and changes nothing with --plan", async () => {
  const { fake, requests } = await daemon();
  expect(await done(muster(fake.stateDir, "assign demo --plan"))).toEqual({
    code: 0,
    out: [
      "NODE  ROLE        WHY",
      "n1    ctl   kept  the cluster has it already",
      "n2    web   new   the smallest that does: 64 GiB",
      "Not chosen:",
      "  n[3-4]: it is retired",
      "  n5 for web: it does not meet `memory > 1 GiB` (it has 1 GiB)",
    ].join("\n"),
    err: "muster: role ctl will have 1 of the 3 nodes that are recommended",
  });
  expect(requests).toMatchObject([{ cluster: "demo", apply: false }]);
  const { out } = await done(muster(fake.stateDir, "assign demo --plan -o json"));
  expect(JSON.parse(out)).toMatchObject({ assigned: [{ node: "n1", kept: true }, { node: "n2" }] });
});

it("gives the cluster the nodes when that is agreed to, as it was seen", async () => {
  const { fake, requests } = await daemon();
  expect((await done(muster(fake.stateDir, "assign demo"))).code).toBe(2);
  expect(requests.some(({ apply }) => apply)).toBe(false);
  const { code, out } = await done(
    muster(fake.stateDir, "assign demo", { interactive: true, ask: async () => "demo" }),
  );
  expect([code, out.split("\n").at(-1)]).toEqual([
    0,
    "cluster/demo has 1 more node; deploy it: muster deploy demo",
  ]);
  expect(requests.at(-1)).toMatchObject({ cluster: "demo", apply: true, etag: "42" });
  expect(requests.at(-1)?.requestId).not.toBe("");
});

it("asks nothing when the cluster has what it wants", async () => {
  const { fake, requests } = await daemon({ ...proposal, assigned: proposal.assigned.slice(0, 1) });
  const { code, out } = await done(muster(fake.stateDir, "assign demo"));
  expect([code, out.split("\n").at(-1)]).toEqual([0, "cluster/demo has all the nodes that it wants"]);
  expect(requests).toHaveLength(1);
});

it("says for each role what is lacking", async () => {
  const assignNodes = async () => {
    throw new RpcError(codes.FAILED_PRECONDITION, "cluster demo cannot be given the nodes that it wants", {
      reason: "CANNOT_ASSIGN",
      violations: [
        {
          type: "CANNOT_ASSIGN",
          subject: "role/web",
          description: "of 2 nodes 1 cannot be found\nn4: it is retired",
        },
      ],
    });
  };
  const fake = await start({ clusters: { assignNodes } });
  expect(await done(muster(fake.stateDir, "assign demo"))).toMatchObject({
    code: 2,
    err: [
      "muster: cluster demo cannot be given the nodes that it wants",
      "  role/web",
      "    of 2 nodes 1 cannot be found",
      "    n4: it is retired",
    ].join("\n"),
  });
});
