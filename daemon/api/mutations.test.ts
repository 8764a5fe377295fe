import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { NodeService, UpdateNodeRequestSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { RequestRecordSchema } from "../../proto/gen/muster/v1/record_pb.ts";
import { World } from "../engine/deployment-world.ts";
import { Mutations } from "./mutations.ts";

const method = NodeService.method.updateNode;
const request = (requestId: string, name = "n1") =>
  create(UpdateNodeRequestSchema, { requestId, node: { name } });

async function start() {
  const world = await World.start([]);
  await world.declare("n1");
  const mutations = new Mutations(world.engine);
  let made = 0;
  const update = (requestId: string, name?: string) =>
    mutations.decide(method, request(requestId, name), (decision) => {
      const node = decision.node(world.node("n1"), { maintenanceReason: `${++made}` });
      return { node };
    });
  return { world, mutations, update, made: () => made };
}

describe("a change that is asked for with a request id", () => {
  it("is made once, and answered with what is stored", async () => {
    const { world, update, made } = await start();
    const first = await update("a");
    expect(await update("a")).toMatchObject({
      node: { revision: world.store.revision, maintenanceReason: "1" },
    });
    expect(first).toMatchObject({ node: { etag: `${world.store.revision}` } });
    await expect(update("a", "n2")).rejects.toMatchObject({ reason: "REQUEST_ID_REUSED" });
    await update("");
    await update("");
    expect(made()).toBe(3);
  });

  it("whose work is under way is waited for", async () => {
    const { mutations } = await start();
    const done = Promise.withResolvers<void>();
    let works = 0;
    const call = () =>
      mutations.perform(method, request("slow"), async () => {
        works++;
        await done.promise;
        return () => ({ node: { name: "n1" } });
      });
    const calls = [call(), call()];
    await expect(mutations.decide(method, request("slow", "n2"), () => ({}))).rejects.toMatchObject({
      reason: "REQUEST_ID_REUSED",
    });
    done.resolve();
    expect(await Promise.all(calls)).toMatchObject([{ node: { name: "n1" } }, { node: { name: "n1" } }]);
    expect(works).toBe(1);
  });

  it("is forgotten when there are too many, the oldest first", async () => {
    const { world, update, made } = await start();
    await update("first");
    await world.engine.decide((decision) => {
      for (let i = 0; i < 9_999; i++)
        decision.change({ request: create(RequestRecordSchema, { requestId: `r${i}`, time: decision.now }) });
    });
    await update("first");
    expect(made()).toBe(1);
    await update("last");
    expect(world.engine.state.requests.size).toBe(10_000);
    await update("first");
    expect(made()).toBe(3);
  });
});
