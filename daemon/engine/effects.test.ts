// What an agent is handed with a step.
import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { expect, it } from "vitest";
import { ClusterSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { Purpose } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { put } from "../domain/state.ts";
import { Effects } from "./effects.ts";
import { Sessions } from "./sessions.ts";
import { TasksWorld, task, tasksPlan } from "./tasks-world.ts";

const noPower = () => {
  throw new Error("no node has a driver");
};

async function handedOver(purpose: Purpose, action: Parameters<typeof task>[2]) {
  const world = await TasksWorld.start(["n1"]);
  const spec = { name: "demo", settings: { color: "blue" }, nodes: [{ node: "n1", role: "worker" }] };
  const cluster = create(ClusterSchema, { name: "demo", spec });
  await world.engine.decide((decision) => decision.change(put({ case: "cluster", value: cluster })));
  await world.start(tasksPlan([task("n1/a", [], action)], { purpose }));
  const sessions = new Sessions();
  const session = sessions.open("n1", 0);
  session.greeted = true;
  const effects = new Effects(noPower, sessions, { remove: async () => {} }, pino({ level: "silent" }));
  effects.act(world.engine, world.take());
  await effects.idle();
  session.queue.close();
  for await (const { message } of session.queue) if (message.case === "assign") return message.value;
  throw new Error("nothing was handed over");
}

const shell = { action: { kind: { case: "shell" as const, value: { command: "true" } } } };

it("is its inputs, and what its templates can read", async () => {
  const inputs = { secrets: { password: "db" }, testPre: "test -e /etc/motd" };
  const assign = await handedOver(Purpose.DEPLOY, { ...shell, inputs });
  expect(assign).toMatchObject({ check: false, inputs });
  expect(assign.values).toMatchObject({
    deployment: "demo-1",
    settings: { color: "blue" },
    node: { name: "n1", role: "worker" },
  });
});

it("says that nothing may be changed in a check", async () => {
  expect((await handedOver(Purpose.CHECK, shell)).check).toBe(true);
});

it("has no values for a task that has nothing to put them into", async () => {
  expect((await handedOver(Purpose.DEPLOY, {})).values).toBeUndefined();
});
