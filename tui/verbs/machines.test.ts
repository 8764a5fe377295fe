import { describe, expect, it } from "vitest";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { node } from "../testing/fixtures.ts";
import { done, muster, start } from "../testing/muster.ts";

describe("what an operator sets on a node", () => {
  it("is sent with a mask of just that, and what is set now is printed", async () => {
    const fake = await start();
    fake.put({
      case: "node",
      value: node("n1", { maintenance: true, maintenanceReason: "new fan", protected: true }),
    });
    const { out } = await done(muster(fake.stateDir, "maintenance n1 on new fan"));
    expect(out).toBe("node/n1: maintenance (new fan), protected");
    await done(muster(fake.stateDir, "protect n1 off"));
    await done(muster(fake.stateDir, "retire n2 on"));
    expect(fake.calls.map(({ request }) => request)).toMatchObject([
      {
        node: { name: "n1", maintenance: true, maintenanceReason: "new fan" },
        updateMask: { paths: ["maintenance", "maintenance_reason"] },
      },
      { node: { name: "n1", protected: false }, updateMask: { paths: ["protected"] } },
      { node: { name: "n2", retired: true }, updateMask: { paths: ["retired"] } },
    ]);
    expect((await done(muster(fake.stateDir, "describe node n1"))).out).toMatch(
      /Set: +maintenance \(new fan\), protected/,
    );
    expect((await done(muster(fake.stateDir, "get nodes"))).out).toContain(
      "maintenance (new fan), protected",
    );
  });

  it("is set on every node of a list; one that is not there keeps none of the others", async () => {
    const fake = await start();
    const { code, out, err } = await done(muster(fake.stateDir, "protect n[1-2],n99,n3 on"));
    expect([code, out.split("\n").map((line) => line.split(":")[0])]).toEqual([
      1,
      ["node/n1", "node/n2", "node/n3"],
    ]);
    expect(err).toBe("muster: there is no node n99");
    const names = fake.calls.map(({ request }) => (request as { node: { name: string } }).node.name);
    expect(names).toEqual(["n1", "n2", "n99", "n3"]);
  });

  it("is set on the nodes that a filter lets through", async () => {
    const filters: string[] = [];
    const listNodes = async ({ filter }: { filter: string }) => {
      filters.push(filter);
      return { nodes: filter.includes("none") ? [] : [node("n2", {})] };
    };
    const fake = await start({ nodes: { listNodes } });
    expect((await done(muster(fake.stateDir, "power on role=compute"))).out).toBe("node/n2 power on");
    expect(await done(muster(fake.stateDir, "power on role=none"))).toMatchObject({
      code: 2,
      err: "muster: no node is chosen by role=none",
    });
    expect(await done(muster(fake.stateDir, "power on n[1-"))).toMatchObject({
      code: 2,
      err: "muster: `n[1-`: a `[` is not closed",
    });
    expect((await done(muster(fake.stateDir, "get nodes -l n[2-3] -l role=db"))).out).toContain("n2");
    expect(filters).toEqual(["(role=compute)", "(role=none)", "n[2-3] and (role=db)"]);
    expect((await done(muster(fake.stateDir, "get images -l n1"))).code).toBe(2);
  });

  it.each(["maintenance n1 maybe", "maintenance n1", "protect on", "maintenance n1 off because"])(
    "refuses `%s`",
    async (args) => {
      const fake = await start();
      expect((await done(muster(fake.stateDir, args))).code).toBe(2);
      expect(fake.calls).toEqual([]);
    },
  );
});

describe("delete", () => {
  it("asks for the name, and deletes the thing as it was seen", async () => {
    const fake = await start();
    fake.put({ case: "node", value: node("n1", { etag: "42" }) });
    const answer = async (text: string) =>
      done(muster(fake.stateDir, "delete node n1", { interactive: true, ask: async () => text }));
    expect(await answer("n2")).toMatchObject({
      code: 2,
      err: "muster: that is not the node's name; nothing was done",
    });
    expect(fake.calls).toEqual([]);
    const { code, out } = await answer("n1");
    expect([code, out.split("\n").at(-1)]).toEqual([0, "node/n1 deleted"]);
    expect(fake.calls).toMatchObject([{ request: { name: "n1", etag: "42" } }]);
    await done(muster(fake.stateDir, "delete task worker --yes"));
    expect(fake.calls[1]).toMatchObject({ request: { name: "task/worker", etag: "8" } });
    await done(muster(fake.stateDir, "delete image debian-12 --yes"));
    expect(fake.calls[2]).toMatchObject({ request: { name: "debian-12", etag: "3" } });
  });

  it("says what stands against it", async () => {
    const refuse = async () => {
      throw new RpcError(codes.FAILED_PRECONDITION, "role compute is in use", {
        reason: "IN_USE",
        violations: [{ type: "IN_USE", subject: "cluster/demo", description: "names it for n2" }],
      });
    };
    const fake = await start({ clusters: { deleteDocument: refuse } });
    const { code, err } = await done(muster(fake.stateDir, "delete role compute --yes"));
    expect([code, err]).toEqual([2, "muster: role compute is in use\n  cluster/demo\n    names it for n2"]);
    expect((await done(muster(fake.stateDir, "delete role nothing --yes"))).code).toBe(2);
    expect((await done(muster(fake.stateDir, "delete event 7 --yes"))).code).toBe(2);
  });
});
