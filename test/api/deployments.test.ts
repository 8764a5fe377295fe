// Deployments as a program steers them over the socket: plans, request ids, etags, holds, stop, wait, history.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { manifests } from "../../daemon/domain/plan-fixture.ts";
import { put } from "../../daemon/domain/state.ts";
import { Deployment_State, Purpose, Scope, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { codes } from "../../proto/rpc/status.ts";
import { startTestDaemon, type TestDaemon } from "./daemon.ts";

const attempts = Array.from({ length: 450 }, (_, i) =>
  put({
    case: "attempt",
    value: {
      name: `old-1/n${i % 3}/image/${i + 1}`,
      step: `old-1/n${i % 3}/image`,
      deployment: "old-1",
      node: `n${i % 3}`,
      task: "image",
      number: i + 1,
      fence: BigInt(i + 1),
      state: i % 2 ? Step_State.FAILED : Step_State.SUCCEEDED,
      startTime: timestampFromMs(i),
    },
  }),
);

let daemon: TestDaemon;
beforeEach(async () => {
  daemon = await startTestDaemon(attempts);
  await daemon.muster.clusters.apply({ files: [{ path: "demo.yaml", content: manifests }] });
});
afterEach(() => daemon[Symbol.asyncDispose]());

async function start(fields: { holds?: string[]; requestId?: string } = {}) {
  const { deployments } = daemon.muster;
  const { plan } = await deployments.planCluster({ cluster: "demo" });
  const request = { cluster: "demo", planHash: plan?.hash ?? "", ...fields };
  return { request, answer: await deployments.startDeployment(request) };
}

describe("a deployment", () => {
  it("is checked without being started", async () => {
    const { deployments } = daemon.muster;
    const { plan } = await deployments.planCluster({ cluster: "demo" });
    const planHash = plan?.hash ?? "";
    await deployments.startDeployment({ cluster: "demo", planHash, validateOnly: true });
    await expect(deployments.startDeployment({ cluster: "demo", planHash: "other" })).rejects.toMatchObject({
      code: codes.ABORTED,
      reason: "PLAN_CHANGED",
      metadata: { plan_hash: planHash },
    });
    const holds = ["image", "n9/image"];
    await expect(deployments.startDeployment({ cluster: "demo", planHash, holds })).rejects.toMatchObject({
      code: codes.INVALID_ARGUMENT,
      reason: "UNKNOWN_STEP",
      fields: [{ field: "holds[1]" }],
    });
    const other = { scope: Scope.ALL, purpose: Purpose.RELEASE, nodes: ["n9"] };
    await expect(deployments.planCluster({ cluster: "demo", ...other })).rejects.toMatchObject({
      code: codes.FAILED_PRECONDITION,
      reason: "CANNOT_PLAN",
    });
    await expect(deployments.planCluster({ cluster: "none" })).rejects.toMatchObject({
      code: codes.NOT_FOUND,
    });
    expect((await deployments.listDeployments({})).deployments).toEqual([]);
  });

  it("is started once by one request id, also across a restart of the daemon", async () => {
    const { request, answer } = await start({ requestId: "once" });
    const { deployments } = daemon.muster;
    expect(answer.deployment).toMatchObject({ name: "demo-1", state: Deployment_State.RUNNING });
    expect(answer.deployment?.etag).not.toBe("");
    expect(await deployments.startDeployment(request)).toEqual(answer);
    await daemon.restart();
    expect(await deployments.startDeployment(request)).toEqual(answer);
    await expect(deployments.startDeployment({ ...request, holds: ["image"] })).rejects.toMatchObject({
      code: codes.INVALID_ARGUMENT,
      reason: "REQUEST_ID_REUSED",
    });
    await expect(deployments.stopDeployment({ name: "demo", requestId: "once" })).rejects.toMatchObject({
      reason: "REQUEST_ID_REUSED",
    });
    await expect(deployments.startDeployment({ ...request, requestId: "other" })).rejects.toMatchObject({
      code: codes.FAILED_PRECONDITION,
      reason: "RUNNING",
    });
    expect((await deployments.listDeployments({})).deployments).toHaveLength(1);
  });

  it("is started once by calls of one request id at the same time", async () => {
    const { deployments } = daemon.muster;
    const { plan } = await deployments.planCluster({ cluster: "demo" });
    const request = { cluster: "demo", planHash: plan?.hash ?? "", requestId: "same" };
    const answers = await Promise.all(Array.from({ length: 20 }, () => deployments.startDeployment(request)));
    expect(new Set(answers.map(({ deployment }) => deployment?.name))).toEqual(new Set(["demo-1"]));
  });

  it("does not remember a refusal", async () => {
    const { deployments } = daemon.muster;
    const stop = { name: "demo", requestId: "later" };
    await expect(deployments.stopDeployment(stop)).rejects.toMatchObject({ code: codes.NOT_FOUND });
    await start();
    expect((await deployments.stopDeployment(stop)).deployment?.name).toBe("demo-1");
  });

  it("holds steps, says go, stops, goes on and is tried again, by its etag", async () => {
    const { deployments } = daemon.muster;
    const { answer } = await start({ holds: ["n1/image"] });
    const etag = answer.deployment?.etag ?? "";
    const name = "demo";
    expect((await deployments.holdSteps({ name, steps: ["image"], etag })).steps).toEqual(["n2/image"]);
    expect((await deployments.listSteps({ deployment: name, filter: "hold = true" })).steps).toHaveLength(2);
    expect((await deployments.continueSteps({ name, steps: ["image"] })).steps).toHaveLength(2);
    for (const verb of [deployments.holdSteps, deployments.continueSteps])
      await expect(verb({ name, steps: ["n9/image"] })).rejects.toMatchObject({ code: codes.NOT_FOUND });
    await expect(deployments.resumeDeployment({ name })).rejects.toMatchObject({ reason: "NOT_STOPPED" });
    await expect(deployments.retryDeployment({ name })).rejects.toMatchObject({ reason: "RUNNING" });
    await expect(deployments.stopDeployment({ name, etag: "1" })).rejects.toMatchObject({
      code: codes.ABORTED,
      reason: "ETAG_MISMATCH",
      metadata: { etag },
    });

    await deployments.stopDeployment({ name, force: true, etag });
    const stopped = await deployments.waitDeployment({ name, timeout: { seconds: 10n } });
    expect(stopped).toMatchObject({ done: true, deployment: { state: Deployment_State.STOPPED } });
    await expect(deployments.stopDeployment({ name })).rejects.toMatchObject({ reason: "NOT_RUNNING" });
    const resumed = await deployments.resumeDeployment({ name });
    expect(resumed.deployment?.state).toBe(Deployment_State.RUNNING);
  });

  it("is waited for until the timeout, and answered as soon as it has ended", async () => {
    const { deployments } = daemon.muster;
    await start();
    const early = await deployments.waitDeployment({ name: "demo", timeout: { nanos: 50_000_000 } });
    expect(early).toMatchObject({ done: false, deployment: { state: Deployment_State.RUNNING } });
    const waiting = deployments.waitDeployment({ name: "demo", timeout: { seconds: 30n } });
    await deployments.stopDeployment({ name: "demo" });
    expect(await waiting).toMatchObject({ done: true });
    expect((await waiting).deployment?.plan).toBeUndefined();
    await expect(
      deployments.waitDeployment({ name: "demo", timeout: { seconds: 3601n } }),
    ).rejects.toMatchObject({ code: codes.INVALID_ARGUMENT });
  });

  it("lists its steps in the order of the plan, a page at a time", async () => {
    const { deployments } = daemon.muster;
    await start();
    const { deployment } = await deployments.getDeployment({ name: "demo" });
    const steps: string[] = [];
    let pageToken = "";
    do {
      const page = await deployments.listSteps({ deployment: "demo", pageSize: 4, pageToken });
      steps.push(...page.steps.map(({ node, task }) => `${node}/${task}`));
      pageToken = page.nextPageToken;
    } while (pageToken);
    expect(steps).toEqual(deployment?.plan?.steps.map(({ id }) => id));
  });
});

describe("attempts", () => {
  it("are listed the newest first, filtered, over several pages", async () => {
    const { deployments } = daemon.muster;
    const filter = "deployment = old-1 AND node = n1 state = failed";
    const numbers: number[] = [];
    let pageToken = "";
    do {
      const page = await deployments.listAttempts({ filter, pageSize: 20, pageToken });
      numbers.push(...page.attempts.map(({ number }) => number));
      pageToken = page.nextPageToken;
    } while (pageToken);
    const expected = attempts.map((_, i) => i).filter((i) => i % 3 === 1 && i % 2);
    expect(numbers).toEqual(expected.map((i) => i + 1).reverse());
    expect((await deployments.listAttempts({ pageSize: 1000 })).attempts).toHaveLength(450);
  });
});
