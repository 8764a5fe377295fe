import { describe, expect, it, vi } from "vitest";
import { Deployment_State, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { deployment, secondsAgo, step } from "../testing/fixtures.ts";
import { done, muster, start } from "../testing/muster.ts";

describe("a deployment that has begun", () => {
  it("is tried again, stopped, and goes on, by the name of its cluster", async () => {
    const fake = await start();
    expect((await done(muster(fake.stateDir, "retry demo"))).out).toBe(
      "deployment/demo-1 goes on: 1 step will be tried again",
    );
    expect((await done(muster(fake.stateDir, "stop demo"))).out).toBe(
      "deployment/demo-1 stopping; running steps finish, no other starts",
    );
    expect((await done(muster(fake.stateDir, "stop demo --force"))).out).toBe(
      "deployment/demo-1 stopping; running steps are cancelled, no other starts",
    );
    expect((await done(muster(fake.stateDir, "resume demo"))).out).toBe(
      "deployment/demo-1 goes on; failed steps stay failed",
    );
    expect(fake.calls.map(({ method }) => method)).toEqual(["retry", "stop", "stop", "resume"]);
    expect(fake.calls[2]?.request).toMatchObject({ name: "demo", force: true });
  });

  it("has steps held and let go", async () => {
    const fake = await start();
    const held = await done(muster(fake.stateDir, "hold demo n1/seed n2/seed"));
    expect(held.out).toBe("n1/seed is held; muster go demo n1/seed lets it start");
    expect(fake.calls[0]).toMatchObject({ method: "hold", request: { steps: ["n1/seed", "n2/seed"] } });
    expect((await done(muster(fake.stateDir, "go demo"))).out).toBe("n1/seed may start");
    expect(fake.calls[1]).toMatchObject({ method: "go", request: { name: "demo", steps: [] } });
    expect((await done(muster(fake.stateDir, "hold demo"))).code).toBe(2);
    const none = await start({
      deployments: { continueSteps: async () => ({}), holdSteps: async () => ({}) },
    });
    expect((await done(muster(none.stateDir, "go demo"))).out).toContain(
      "no step that could start now is held",
    );
    expect((await done(muster(none.stateDir, "hold demo seed"))).out).toContain("they were held before");
  });

  it("is followed with what is held, and what was stopped is resumed", async () => {
    const fake = await start();
    const command = muster(fake.stateDir, "wait demo");
    await vi.waitFor(() => expect(command.out.join("\n")).toContain("n3 image failed"));
    fake.put({ case: "step", value: step("n1/seed", Step_State.READY, { hold: true }) });
    fake.put({ case: "step", value: step("n3/image", Step_State.SUCCEEDED, { endTime: secondsAgo(0) }) });
    fake.put({ case: "step", value: step("n3/seed", Step_State.SKIPPED) });
    fake.put({
      case: "deployment",
      value: { ...deployment, state: Deployment_State.STOPPED, reason: "stopped" },
    });
    const { code, out } = await done(command);
    expect(code).toBe(1);
    expect(out).toContain("n1 seed is held: muster go demo-1 n1/seed");
    expect(out).not.toContain("skipped");
    expect(out).toContain("continue it: muster resume demo-1");
  });

  it("is waited for no longer than is said", async () => {
    const fake = await start();
    const { code, err } = await done(muster(fake.stateDir, "wait demo --timeout 1s"));
    expect([code, err]).toEqual([
      1,
      "muster: demo-1 has not ended within 1s; see why: muster explain demo-1",
    ]);
    const refused = await done(muster(fake.stateDir, "wait demo --timeout soon"));
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining("give 90s, 10m or 2h")]);
  });
});

describe("a change", () => {
  it("has an id of its own, and is made again with it when the answer was lost", async () => {
    const ids: string[] = [];
    const fake = await start({
      deployments: {
        stopDeployment: async ({ requestId }) => {
          ids.push(requestId);
          if (ids.length === 1) throw new RpcError(codes.UNAVAILABLE, "the connection broke");
          return { deployment };
        },
      },
    });
    expect((await done(muster(fake.stateDir, "stop demo"))).code).toBe(0);
    await done(muster(fake.stateDir, "stop demo"));
    expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(ids).toEqual([ids[0], ids[0], ids[2]]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  it("that the daemon refuses is made once", async () => {
    let calls = 0;
    const refuse = async () => {
      calls++;
      throw new RpcError(codes.UNAVAILABLE, "the BMC does not answer", { reason: "POWER_DRIVER" });
    };
    const fake = await start({ nodes: { setNodePower: refuse } });
    expect((await done(muster(fake.stateDir, "power on n1"))).err).toContain("the BMC does not answer");
    expect(calls).toBe(1);
  });

  it.each([
    "approve n4",
    "power on n1",
    "maintenance n1 on",
    "retry demo",
    "resume demo",
    "hold demo seed",
    "go demo",
    "deploy demo --yes --no-wait",
    "delete node n1 --yes",
    "delete cluster demo --yes",
    "delete task worker --yes",
  ])("`%s` sends its id", async (args) => {
    const fake = await start();
    expect((await done(muster(fake.stateDir, args))).code).toBe(0);
    expect(fake.calls).toMatchObject([{ request: { requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) } }]);
  });
});
