// Every state of every kind of thing has one line of why, and a remedy wherever it is not where it should be.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ClusterSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { Deployment_State, PlanSchema, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, Fault_Kind, Node_State, PowerState } from "../../proto/gen/muster/v1/node_pb.ts";
import { explain } from "./explain.ts";
import { ago, ahead, type NodeInit, now, planned, type StepInit, World } from "./explain-fixture.ts";
import { put } from "./state.ts";

const valuesOf = (values: Record<string, number>) => Object.entries(values);
const stepIsFine = new Set<number>([Step_State.SUCCEEDED, Step_State.SKIPPED, Step_State.RUNNING]);
const nodeIsFine = new Set<number>([Node_State.READY, Node_State.AVAILABLE]);
// A step of theirs runs as it should: nothing has to be done.
const nodeMovesByItself = new Set<number>([
  Node_State.RESERVED,
  Node_State.PROVISIONING,
  Node_State.PROVISIONED,
  Node_State.CONFIGURING,
  Node_State.RELEASING,
  Node_State.CLEANING,
]);

describe("every state", () => {
  it.each(valuesOf(Step_State))("of a step: %s", (word, state) => {
    const world = new World().upTo("n1", "image").step("n1/image", state as Step_State);
    const { subject, state: said, why, remedy } = world.explain("demo/n1/image");
    expect([subject, said]).toEqual(["step/demo-1/n1/image", word.toLowerCase()]);
    expect(why).not.toBe("");
    expect(why).not.toContain("\n");
    if (!stepIsFine.has(state)) expect(remedy).not.toBe("");
  });

  it.each(valuesOf(Node_State))("of a node: %s", (word, state) => {
    const world = new World()
      .upTo("n1", "image")
      .step("n1/image", Step_State.RUNNING, { deadlineTime: ahead(60) });
    const {
      subject,
      state: said,
      why,
      remedy,
    } = world.node("n1", { state: state as Node_State }).explain("n1");
    expect([subject, said]).toEqual(["node/n1", word.toLowerCase().replaceAll("_", " ")]);
    expect(why).not.toBe("");
    if (nodeMovesByItself.has(state)) expect(why).toContain("n1/image is running, attempt 1");
    else if (!nodeIsFine.has(state)) expect(remedy).not.toBe("");
  });

  it.each(valuesOf(Deployment_State))("of a deployment: %s", (word, state) => {
    const world = new World().upTo("n1", "image").step("n1/image", Step_State.UNKNOWN);
    if (state === Deployment_State.SUCCEEDED)
      for (const { id } of planned) world.step(id, Step_State.SUCCEEDED);
    const {
      subject,
      state: said,
      why,
      remedy,
    } = world.deployment({ state: state as Deployment_State }).explain("demo");
    expect([subject, said]).toEqual(["deployment/demo-1", word.toLowerCase()]);
    expect(why).not.toBe("");
    if (state !== Deployment_State.SUCCEEDED) expect(remedy).not.toBe("");
  });

  it.each(valuesOf(Fault_Kind))("of a fault: %s", (_, kind) => {
    const fault = { kind: kind as Fault_Kind, message: "the words of the fault", sinceTime: ago(30) };
    const { why, remedy } = new World()
      .node("n1", { state: Node_State.READY, faults: [fault] })
      .explain("n1");
    expect(why).toContain("fault for 30s: the words of the fault");
    expect(remedy).not.toBe("");
  });
});

describe("a step", () => {
  const ready = (init: StepInit = {}) =>
    new World().upTo("n1", "image").step("n1/image", Step_State.READY, init);

  it("that is pending is followed back to what it waits for in the end", () => {
    const world = new World()
      .upTo("n1", "image")
      .step("n1/image", Step_State.FAILED, { reason: "chunk 412 is damaged" });
    const { why, remedy, waitsFor } = world.explain("demo-1/n1/bootloader");
    expect(why).toContain("waits for n1/seed, in the end for n1/image: failed, attempt 1");
    expect(why).toContain("chunk 412 is damaged");
    expect(remedy).toContain("muster retry demo-1");
    expect(waitsFor).toEqual(["step/demo-1/n1/seed", "step/demo-1/n1/image"]);
  });

  it("is followed through provisioning that has succeeded, but has to be built anew", () => {
    const world = new World().upTo("n1", "reboot").step("n1/bootstrap", Step_State.READY, { hold: true });
    const { why, remedy, waitsFor } = world.explain("demo/n1/reboot");
    expect(why).toContain("waits for n1/bootstrap: ready, its turn has come, and it is held");
    expect([remedy, waitsFor]).toEqual(["muster go demo-1 n1/bootstrap", ["step/demo-1/n1/bootstrap"]]);
    world.step("n1/bootstrap", Step_State.FAILED).step("n1/reboot", Step_State.BLOCKED);
    expect(world.explain("demo/n1/reboot").why).toContain("it requires n1/bootstrap, which has failed");
  });

  it("that is ready says which of all reasons keeps it", () => {
    expect(ready({ hold: true }).explain("demo/n1/image")).toMatchObject({
      why: "its turn has come, and it is held until somebody says go",
      remedy: "muster go demo-1 n1/image",
    });
    const back = ready({
      nextAttemptTime: ahead(12),
      attempt: 1,
      reason: "the disk is gone",
      retriesLeft: 2,
    });
    expect(back.explain("demo/n1/image").why).toBe(
      "attempt 1 failed: the disk is gone; attempt 2 follows in 12s, 2 more would follow by themselves",
    );
    const busy = ready().step("n1/database", Step_State.RUNNING).explain("demo/n1/image");
    expect(busy.why).toBe("n1 is busy with database, running for 1m00s");
    expect(busy.waitsFor).toEqual(["step/demo-1/n1/database"]);
    const care = ready()
      .node("n1", { maintenance: true, maintenanceReason: "new fan" })
      .explain("demo/n1/image");
    expect(care.why).toBe("n1 is in maintenance (new fan): nothing is started on it");
    expect(care.remedy).toBe("muster maintenance n1 off");
  });

  it("whose node is away says since when and what brings it back", () => {
    const away = (init: NodeInit) =>
      ready({ waitTime: ago(40) })
        .node("n1", { online: false, ...init })
        .explain("demo/n1/image");
    const off = away({ power: PowerState.OFF, spec: { name: "n1", power: {} } });
    expect(off.why).toBe("n1's agent is not there, last seen 1m10s ago, the step has waited for 40s");
    expect(off.remedy).toBe("it is switched off: muster power on n1");
    expect(off.waitsFor).toEqual(["node/n1"]);
    expect(away({}).remedy).toContain("switch it on by hand");
    expect(away({ power: PowerState.ON, spec: { name: "n1", power: {} } }).remedy).toContain(
      "muster power cycle n1",
    );
    expect(away({ approvalCode: "AB-CD" }).remedy).toContain("muster approve n1 --code AB-CD");
    const elsewhere = ready().node("n1", { environment: Environment.INSTALLED }).explain("demo/n1/image");
    expect(elsewhere.why).toBe("n1 is in its installed system, and image needs the ramdisk");
  });

  it("that runs says since when and until when", () => {
    const world = new World()
      .upTo("n1", "image")
      .step("n1/image", Step_State.RUNNING, { deadlineTime: ahead(90) });
    expect(world.explain("step/demo/n1/image")).toMatchObject({
      why: "attempt 1 has been running for 1m00s; given up in 1m30s unless it ends before",
      remedy: "",
      waitsFor: [],
    });
    world.node("n1", { maintenance: true });
    expect(world.explain("demo/n1/image").why).toContain("not given up while n1 is in maintenance");
    world.deployment({ state: Deployment_State.STOPPING, forced: true });
    expect(world.explain("demo/n1/image").why).toContain("a forced stop is cancelling it");
  });

  it("that may still be running is not cut off by the advice", () => {
    const world = new World().upTo("n1", "image").step("n1/image", Step_State.UNKNOWN, { reason: "silent" });
    const on = { online: false, power: PowerState.ON, spec: { name: "n1", power: {} } };
    const { why, remedy } = world.node("n1", on).explain("demo/n1/image");
    expect(why).toBe("attempt 1 was running and may still be: silent; last word from n1 1m10s ago");
    expect(remedy).toBe("the next word of its agent decides; if none comes, see the console of n1");
    const off = world.node("n1", { power: PowerState.OFF }).explain("demo/n1/image");
    expect(off.remedy).toContain("muster power on n1");
  });

  it("that has failed says why, how, and where to read on", () => {
    const world = new World().deployment({ state: Deployment_State.FAILED });
    world.step("n1/image", Step_State.FAILED, { exitCode: 3, reason: "two\nlines", endTime: ago(50) });
    expect(world.explain("demo/n1/image")).toMatchObject({
      why: "attempt 1 failed for good with exit code 3 after 10s: two; lines",
      remedy: "mend it, then: muster retry demo-1; its log: muster logs demo-1/n1/image",
    });
    world.step("n1/seed", Step_State.BLOCKED).step("n1/bootloader", Step_State.BLOCKED);
    const blocked = world.explain("demo/n1/bootloader");
    expect(blocked.why).toContain("it requires n1/image, which has failed");
    expect(blocked.waitsFor).toEqual(["step/demo-1/n1/seed", "step/demo-1/n1/image"]);
  });

  it("of a deployment that does not run says so first", () => {
    const stopped = new World().deployment({ state: Deployment_State.STOPPED });
    expect(stopped.explain("demo/n1/image").remedy).toBe("muster resume demo-1");
    const world = new World()
      .deployment({ state: Deployment_State.FAILED })
      .step("n1/image", Step_State.FAILED);
    const cluster = create(ClusterSchema, { name: "demo", deployment: "demo-2" });
    world.state.apply(put({ case: "cluster", value: cluster }));
    expect(world.explain("demo-1/n1/image").remedy).toContain("muster explain demo-2");
    expect(world.explain("demo-1/n1/seed").remedy).toContain("muster explain demo-2");
    expect(world.explain("demo-1").remedy).toContain("muster explain demo-2");
  });
});

describe("a node", () => {
  it("says what its deployment waits for, what is wrong around it and what is set", () => {
    const world = new World().upTo("n1", "image").step("n1/image", Step_State.READY, { hold: true });
    world.node("n1", { state: Node_State.PROVISIONING, protected: true });
    expect(world.explain("node/n1")).toMatchObject({
      why: "demo-1 is installing it: n1/image is ready, its turn has come, and it is held until somebody says go; protected: nothing that destroys data is planned for it",
      remedy: "muster go demo-1 n1/image",
      waitsFor: ["step/demo-1/n1/image"],
    });
    world.node("n1", { state: Node_State.READY, online: false, maintenance: true });
    const { why, remedy } = world.explain("n1");
    expect(why).toContain(
      "its agent is not there, last seen 1m10s ago; in maintenance: no step is started on it",
    );
    expect(remedy).toContain("see the console of n1");
  });

  it("that is free says whether a cluster names it", () => {
    const world = new World().node("n1", { state: Node_State.AVAILABLE, cluster: "" });
    expect(world.explain("n1").remedy).toBe("muster deploy demo");
    world.node("n3", { name: "n3", state: Node_State.AVAILABLE, cluster: "" });
    expect(world.explain("n3")).toMatchObject({
      why: "its inventory is known, and no cluster names it",
      remedy: "",
    });
  });
});

describe("a deployment", () => {
  it("names the oldest step that is under way, and the remedy of another that waits", () => {
    const world = new World()
      .upTo("n1", "image")
      .step("n1/image", Step_State.RUNNING, { startTime: ago(20) });
    world.step("n2/bootstrap", Step_State.SUCCEEDED).step("n2/partition", Step_State.READY, { hold: true });
    const { why, remedy, waitsFor } = world.explain("demo");
    expect(why).toBe(
      "3 of 14 steps done, 1 running, 1 ready; n1/image is running: attempt 1 has been running for 20s",
    );
    expect(remedy).toBe("muster go demo-1 n2/partition");
    expect(waitsFor).toEqual(["step/demo-1/n1/image"]);
  });

  it("that goes on beside a failure says what to do about it", () => {
    const world = new World()
      .upTo("n1", "image")
      .step("n1/image", Step_State.RUNNING)
      .step("n2/image", Step_State.FAILED);
    expect(world.explain("demo").remedy).toContain("when demo-1 has ended: muster retry demo-1");
    // What waits for another step is no reason to do anything.
    world.step("n2/image", Step_State.PENDING).step("n1/seed", Step_State.READY);
    expect(world.explain("demo").remedy).toBe("");
    world.step("n1/seed", Step_State.PENDING);
    expect(world.explain("demo/n1/reboot").remedy).toBe(
      "n1/reboot comes by itself when n1/image has succeeded",
    );
  });

  it("that stops names what still runs, and that has failed the first failure", () => {
    const world = new World().step("n1/image", Step_State.RUNNING).step("n2/image", Step_State.RUNNING);
    world.deployment({ state: Deployment_State.STOPPING });
    expect(world.explain("demo").why).toBe("stop was asked for; it ends when n1/image, n2/image have ended");
    expect(world.explain("demo").remedy).toContain("muster stop demo-1 --force");
    world.step("n1/image", Step_State.FAILED, { reason: "no" }).step("n2/image", Step_State.SUCCEEDED);
    world.deployment({ state: Deployment_State.FAILED, endTime: ago(1) });
    expect(world.explain("demo").why).toContain("1 of 14 steps done, 1 failed; n1/image: attempt 1");
    expect(world.explain("demo").remedy).toContain("muster retry demo-1");
  });
});

describe("what is done without everything", () => {
  it("says what it was done without, and what brings that back", () => {
    const world = new World().deployment({
      state: Deployment_State.SUCCEEDED,
      reason: "without 1 node of role compute, which may fail (n2: worker: exit code 1)",
    });
    const { why, remedy } = world.explain("demo");
    expect(why).toContain(
      "done without 1 node of role compute, which may fail (n2: worker: exit code 1): 0 of 14",
    );
    expect(remedy).toBe("mend them, then: muster retry demo-1");
  });

  it("says why a step is left out", () => {
    const steps = planned.map((step) => ({ ...step, skippedBecause: "not asked for" }));
    const world = new World()
      .deployment({ plan: create(PlanSchema, { steps }) })
      .step("n1/database", Step_State.SKIPPED);
    expect(world.explain("demo/n1/database").why).toBe("not asked for");
  });
});

it("knows nothing of what is not there", () => {
  const { state } = new World();
  for (const name of ["n9", "node/demo", "demo/n9/image", "step/n1", "deployment/n1", "", "/", "demo-1/"]) {
    expect(explain(state, name, now)).toBeUndefined();
  }
});
