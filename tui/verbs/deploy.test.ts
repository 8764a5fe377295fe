import { create } from "@bufbuild/protobuf";
import { describe, expect, it, vi } from "vitest";
import {
  Deployment_State,
  PlanSchema,
  Purpose,
  Scope,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { planLines } from "../plan-text.ts";
import { deployment, progress, secondsAgo, step } from "../testing/fixtures.ts";
import { done, muster, start } from "../testing/muster.ts";
import { nodeNames, plan, planHash } from "../testing/plan.ts";

describe("plan", () => {
  it("prints a refusal as one block per node, with the candidates, and exits with 2", async () => {
    const refuse = async () => {
      throw new RpcError(codes.FAILED_PRECONDITION, "demo cannot be planned", {
        violations: [
          {
            type: "DISK",
            subject: "n1",
            description: "system: size >= 40 matches no disk\nvda 20 GiB serial n1-A",
          },
          { type: "DISK", subject: "n1", description: "data: no disk is left" },
          { type: "DISK", subject: "n2", description: "has not reported its hardware; switch it on" },
        ],
      });
    };
    const fake = await start({ deployments: { planCluster: refuse } });
    const { code, err } = await done(muster(fake.stateDir, "plan demo"));
    expect(code).toBe(2);
    expect(err.split("\n")).toEqual([
      "muster: demo cannot be planned",
      "  n1",
      "    system: size >= 40 matches no disk",
      "    vda 20 GiB serial n1-A",
      "    data: no disk is left",
      "  n2",
      "    has not reported its hardware; switch it on",
    ]);
  });

  it("prints the plan as JSON with its hash", async () => {
    const fake = await start();
    const { out } = await done(muster(fake.stateDir, "plan demo -o json"));
    expect(JSON.parse(out)).toMatchObject({ cluster: "demo", hash: planHash });
  });
});

describe("deploy", () => {
  it("asks for the cluster's name and does nothing if another is typed", async () => {
    const fake = await start();
    const asked = vi.fn(async () => "dem");
    const { code, out } = await done(muster(fake.stateDir, "deploy demo", { interactive: true, ask: asked }));
    expect(code).toBe(2);
    expect(out).toContain('loses partition vda1, 19 GiB, ext4 "old"');
    expect(asked).toHaveBeenCalledWith("Type the cluster's name (demo) to go on: ");
    expect(fake.calls).toEqual([]);
  });

  it("needs --yes where nobody can be asked, and refuses a plan that has changed", async () => {
    const fake = await start();
    expect((await done(muster(fake.stateDir, "deploy demo"))).err).toContain("--yes");
    const { code, err } = await done(muster(fake.stateDir, "deploy demo --yes --plan-hash 1234"));
    expect([code, err]).toEqual([
      2,
      expect.stringContaining(`the plan for demo is now ${planHash}, not 1234`),
    ]);
    expect(fake.calls).toEqual([]);
  });

  it("follows to the end and succeeds", async () => {
    const fake = await start();
    const command = muster(fake.stateDir, "deploy demo --yes");
    await vi.waitFor(() => expect(command.out.join("\n")).toContain("n3 image failed"));
    fake.put({
      case: "step",
      value: step("n3/image", Step_State.RUNNING, { startTime: secondsAgo(1), attempt: 2 }),
    });
    fake.progress(progress("n3/image", 356n));
    for (const name of nodeNames) {
      fake.put({
        case: "step",
        value: step(`${name}/image`, Step_State.SUCCEEDED, {
          startTime: secondsAgo(40),
          endTime: secondsAgo(0),
        }),
      });
    }
    const end = { ...deployment, state: Deployment_State.SUCCEEDED, reason: "", endTime: secondsAgo(0) };
    fake.put({ case: "deployment", value: end });
    const { code, out } = await done(command);
    expect(code).toBe(0);
    expect(fake.calls).toMatchObject([{ method: "start", request: { cluster: "demo", planHash } }]);
    expect(out).toContain("12:00:00 n3 image running attempt 2");
    expect(out).toContain("12:00:00 n3 image 50% 356 MiB/712 MiB 18 MiB/s eta 19s writing");
    expect(out).toContain("12:00:00 n3 image succeeded 40s");
    expect(out).toContain("demo-1 succeeded after 2m05s");
  });

  it("exits with 1 and the reason when it fails, and with 0 at once if it need not wait", async () => {
    const fake = await start();
    const started = await done(muster(fake.stateDir, "deploy demo --yes --no-wait"));
    expect([started.code, started.out]).toEqual([0, expect.stringMatching(/deployment\/demo-1 started$/)]);
    const end = {
      ...deployment,
      state: Deployment_State.FAILED,
      reason: "n3/image failed",
      endTime: secondsAgo(0),
    };
    fake.put({ case: "deployment", value: end });
    const { code, out } = await done(muster(fake.stateDir, "wait demo"));
    expect(code).toBe(1);
    expect(out).toContain(
      "demo-1 failed after 2m05s, 6 of 21 steps done, 1 failed, 4 blocked: n3/image failed",
    );
  });

  it("goes on following when the stream breaks", async () => {
    const fake = await start();
    const command = muster(fake.stateDir, "wait demo-1");
    await vi.waitFor(() => expect(command.out.join("\n")).toContain("n3 image failed"));
    fake.breakWatches(new RpcError(codes.RESOURCE_EXHAUSTED, "too slow", { reason: "CONSUMER_TOO_SLOW" }));
    await vi.waitFor(() => expect(command.out.join("\n")).toContain("trying again: too slow"));
    await vi.waitFor(() => expect(fake.watching).toBe(1), { timeout: 3000 });
    fake.put({ case: "deployment", value: { ...deployment, state: Deployment_State.STOPPED } });
    expect(await command.code).toBe(1);
    expect(command.out.join("\n")).toContain("connected again");
  });

  it("leaves the deployment alone when it is interrupted", async () => {
    const fake = await start();
    const interrupt = new AbortController();
    const command = muster(fake.stateDir, "wait demo", { signal: interrupt.signal });
    await vi.waitFor(() => expect(command.out.length).toBeGreaterThan(0));
    interrupt.abort();
    expect(await command.code).toBe(130);
    expect(command.err).toEqual([
      "no longer watching; the deployment goes on. Watch it again: muster wait demo-1",
    ]);
    expect(fake.calls).toEqual([]);
  });
});

describe("what has changed", () => {
  const unchanged = (ids: string[]) =>
    create(PlanSchema, {
      ...plan,
      steps: plan.steps.map((one) => ({ ...one, unchangedSince: ids.includes(one.id) ? "demo-2" : "" })),
    });
  const provisioning = plan.steps.map(({ id }) => id).filter((id) => !/worker|database/.test(id));

  it("is all that is deployed: nothing is wiped, and the plan says since when", async () => {
    const planned = unchanged(provisioning);
    const fake = await start({ deployments: { planCluster: async () => ({ plan: planned }) } });
    const { code, out } = await done(
      muster(fake.stateDir, "deploy demo --yes --no-wait --hold worker --hold n1/database"),
    );
    expect(code).toBe(0);
    expect(out).toContain("3 nodes, 21 steps, 18 of them unchanged, plan");
    expect(out).toContain("No disk is wiped.");
    expect(fake.calls).toMatchObject([
      { method: "start", request: { scope: Scope.CHANGED, holds: ["worker", "n1/database"] } },
    ]);
    const shown = await done(muster(fake.stateDir, "plan demo"));
    expect(shown.out).toContain("its disks stay as they are: unchanged since demo-2");
    expect(shown.out).toMatch(/2\. {2}partition +n1 n2 n3 +after bootstrap +unchanged since demo-2/);
    expect(shown.out).not.toContain("destroyed");
  });

  it("names the disks of the nodes that are installed anew, and no other", async () => {
    const planned = unchanged(provisioning.filter((id) => !id.startsWith("n1/")));
    const fake = await start({ deployments: { planCluster: async () => ({ plan: planned }) } });
    const { out } = await done(muster(fake.stateDir, "deploy demo --yes --no-wait"));
    expect(out.match(/^ {2}n\d: disk/gm)).toEqual(["  n1: disk", "  n1: disk"]);
  });

  it("is nothing: then nothing is started, and --all does everything anew", async () => {
    const scopes: Scope[] = [];
    const everything = unchanged(plan.steps.map(({ id }) => id));
    const planCluster = async ({ scope }: { scope: Scope }) => {
      scopes.push(scope);
      return { plan: scope === Scope.ALL ? plan : everything };
    };
    const fake = await start({ deployments: { planCluster } });
    const { code, out } = await done(muster(fake.stateDir, "deploy demo --yes"));
    expect([code, fake.calls]).toEqual([0, []]);
    expect(out).toContain("nothing has changed in cluster demo: all 21 steps were done before");
    const anew = await done(muster(fake.stateDir, "deploy demo --all --yes --no-wait"));
    expect(anew.out).toContain("These disks are wiped:");
    expect(scopes).toEqual([Scope.CHANGED, Scope.ALL]);
    expect(fake.calls).toMatchObject([{ method: "start", request: { scope: Scope.ALL } }]);
  });
});

describe("release", () => {
  const wiping = create(PlanSchema, {
    cluster: "demo",
    hash: planHash,
    purpose: Purpose.RELEASE,
    nodes: plan.nodes.slice(0, 1).map(({ node, disks }) => ({ node, disks: { disks: disks?.disks ?? [] } })),
    steps: [
      { id: "n1/bootstrap", node: "n1", task: "bootstrap" },
      { id: "n1/wipe", node: "n1", task: "wipe", requires: ["n1/bootstrap"] },
    ],
  });

  it("names every disk that will be wiped, asks, and starts", async () => {
    const fake = await start({ deployments: { planCluster: async () => ({ plan: wiping }) } });
    const asked: string[] = [];
    const ask = async (question: string) => {
      asked.push(question);
      return "demo";
    };
    const { code, out } = await done(
      muster(fake.stateDir, "release demo n1 --no-wait", { interactive: true, ask }),
    );
    expect([code, asked]).toEqual([0, ["Type the cluster's name (demo) to go on: "]]);
    expect(out).toContain("Releasing n1 from cluster demo");
    expect(out).toContain(
      'n1: disk serial n1-A QEMU DISK, 20 GiB, now vda: loses partition vda1, 19 GiB, ext4 "old"',
    );
    expect(out).toContain("n1: disk serial n1-B");
    expect(fake.calls).toMatchObject([{ request: { purpose: Purpose.RELEASE, nodes: ["n1"], planHash } }]);
  });

  it("does nothing without a yes", async () => {
    const fake = await start({ deployments: { planCluster: async () => ({ plan: wiping }) } });
    const { code, err } = await done(muster(fake.stateDir, "release demo"));
    expect([code, err]).toEqual([2, "muster: nobody can be asked here; --yes agrees to it"]);
    expect(fake.calls).toEqual([]);
  });

  it("is shown as a plan that makes nothing", () => {
    const lines = planLines(wiping).map(({ text }) => text);
    expect(lines[0]).toBe("Plan to release nodes of cluster demo: 1 node, 2 steps");
    expect(lines).toContain("n1  wiped and set free");
    expect(lines).not.toContain("  created");
  });
});
