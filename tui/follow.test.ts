import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  Deployment_State,
  PlanSchema,
  ProgressSchema,
  Purpose,
  Step_State,
} from "../proto/gen/muster/v1/deployment_pb.ts";
import { Node_State } from "../proto/gen/muster/v1/node_pb.ts";
import { TaskOutcome } from "../proto/gen/muster/v1/step_pb.ts";
import { type WatchResponse, WatchResponseSchema } from "../proto/gen/muster/v1/watch_pb.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { Follower } from "./follow.ts";
import { deployment, node, now, progress, secondsAgo, step, steps } from "./testing/fixtures.ts";

type Change = WatchResponse["change"];
type Kind = Extract<Change, { case: "put" }>["value"]["kind"];

function start() {
  const clock = { now };
  const follower = new Follower("demo-1", () => clock.now);
  const send = (change: Change) =>
    follower.take({ kind: "message", response: create(WatchResponseSchema, { change }) });
  const put = (kind: Kind) => send({ case: "put", value: { $typeName: "muster.v1.Resource", kind } });
  const snapshot = () => {
    put({ case: "deployment", value: deployment });
    for (const value of steps()) put({ case: "step", value });
    return send({ case: "snapshotEnd", value: { $typeName: "muster.v1.SnapshotEnd" } });
  };
  return { clock, follower, send, put, snapshot };
}

describe("follower", () => {
  it("begins with what has happened so far, and says nothing twice after a new snapshot", () => {
    const { follower, snapshot } = start();
    expect(snapshot()).toEqual([
      "12:00:00 n1 bootstrap succeeded 44s: ramdisk up",
      "12:00:00 n1 partition succeeded 3.2s: md os [UU], 3 volumes",
      "12:00:00 n1 image running",
      "12:00:00 n2 bootstrap succeeded 44s: ramdisk up",
      "12:00:00 n2 partition succeeded 3.2s: md os [UU], 3 volumes",
      "12:00:00 n2 image running attempt 2",
      "12:00:00 n3 bootstrap succeeded 44s: ramdisk up",
      "12:00:00 n3 partition succeeded 3.2s: md os [UU], 3 volumes",
      "12:00:00 n3 image failed 56s: chunk 412 is damaged: expected sha256 4f1c9a, found 9be0d2; repair the image in the store",
      "12:00:00 demo-1 waits for 2 running steps",
    ]);
    follower.take({ kind: "restart" });
    expect(snapshot()).toEqual([]);
  });

  it("prints progress of a step at most every five seconds", () => {
    const { clock, send, snapshot } = start();
    snapshot();
    const report = (mib: bigint) => send({ case: "progress", value: progress("n1/image", mib) });
    expect(report(436n)).toEqual(["12:00:00 n1 image 61% 436 MiB/712 MiB 18 MiB/s eta 15s writing"]);
    clock.now += 4000;
    expect(report(500n)).toEqual([]);
    clock.now += 1000;
    expect(report(518n)).toHaveLength(1);
  });

  it("says how a task went and how far it is; barriers are not told", () => {
    const { clock, put, send, snapshot } = start();
    const run = {
      ...deployment,
      plan: create(PlanSchema, {
        steps: [
          { id: "n1/web", node: "n1", task: "web", action: { kind: { case: "puppet", value: {} } } },
          { id: "_/web-done", node: "_", task: "web-done", requires: ["n1/web"] },
        ],
      }),
    };
    snapshot();
    put({ case: "deployment", value: run });
    put({ case: "step", value: step("n1/web", Step_State.RUNNING, { startTime: secondsAgo(10) }) });
    clock.now += 5000;
    const report = create(ProgressSchema, { step: "demo-1/n1/web", currentItems: 34, totalItems: 120 });
    expect(send({ case: "progress", value: report })).toEqual(["12:00:05 n1 web 28% 34/120 resources"]);
    const over = { startTime: secondsAgo(10), endTime: secondsAgo(7) };
    const end = (outcome: TaskOutcome, result = "") =>
      put({ case: "step", value: step("n1/web", Step_State.SUCCEEDED, { ...over, outcome, result }) });
    expect(end(TaskOutcome.CHANGED, "3 of 120 resources changed")).toEqual([
      "12:00:05 n1 web changed 3s: 3 of 120 resources changed",
    ]);
    expect(end(TaskOutcome.OK)).toEqual(["12:00:05 n1 web ok 3s"]);
    expect(end(TaskOutcome.SKIPPED, "its condition is false")).toEqual([
      "12:00:05 n1 web skipped 3s: its condition is false",
    ]);
    expect(end(TaskOutcome.IGNORED)).toEqual(["12:00:05 n1 web ignored 3s"]);
    put({
      case: "deployment",
      value: { ...run, purpose: Purpose.CHECK },
    });
    expect(end(TaskOutcome.CHANGED)).toEqual(["12:00:05 n1 web would change 3s"]);
    expect(put({ case: "step", value: step("_/web-done", Step_State.SUCCEEDED, over) })).toEqual([]);
  });

  it("says when a node of the deployment is lost, and when it is back; others are none of its business", () => {
    const { put, snapshot } = start();
    snapshot();
    expect(put({ case: "node", value: node("n1") })).toEqual([]);
    const lost = node("n1", { state: Node_State.LOST, reason: "silent for 60s" });
    expect(put({ case: "node", value: lost })).toEqual(["12:00:00 n1 is lost: silent for 60s"]);
    expect(put({ case: "node", value: node("n1") })).toEqual(["12:00:00 n1 is provisioning"]);
    expect(put({ case: "node", value: node("n4", { state: Node_State.LOST }) })).toEqual([]);
  });

  it("says once that the connection is lost, and that it is back", () => {
    const { follower, put, snapshot } = start();
    snapshot();
    const broken = { kind: "broken" as const, error: new RpcError(codes.UNAVAILABLE, "gone"), retryInMs: 1 };
    expect(follower.take(broken)).toEqual(["12:00:00 connection to the daemon lost, trying again: gone"]);
    expect(follower.take(broken)).toEqual([]);
    expect(put({ case: "step", value: step("n1/seed", Step_State.RUNNING) })).toEqual([
      "12:00:00 connected again",
      "12:00:00 n1 seed running",
    ]);
  });

  it("says once what has failed alike on several nodes, with the details of one", () => {
    const { follower, put, snapshot } = start();
    snapshot();
    for (const node of ["n1", "n2"]) {
      const value = step(`${node}/image`, Step_State.FAILED, { reason: "no room" });
      put({ case: "step", value });
    }
    const failed = { ...deployment, state: Deployment_State.FAILED, reason: "", endTime: secondsAgo(0) };
    put({ case: "deployment", value: failed });
    expect(follower.failed(failed)).toHaveLength(3);
    const details = new Map([["demo-1/n1/image", ["last line"]]]);
    expect(follower.summary(failed, details).slice(1, 4)).toEqual([
      "  image on n1 n2: no room",
      "    last line",
      expect.stringMatching(/^ {2}n3\/image: chunk 412/),
    ]);
  });

  it("ends with the deployment: the failed steps, and what to do", () => {
    const { follower, put, snapshot } = start();
    snapshot();
    expect(follower.ended).toBeUndefined();
    const failed = {
      ...deployment,
      state: Deployment_State.FAILED,
      reason: "1 step failed",
      endTime: secondsAgo(0),
    };
    put({ case: "deployment", value: failed });
    expect(follower.ended?.state).toBe(Deployment_State.FAILED);
    expect(follower.summary(failed)).toEqual([
      "demo-1 failed after 2m05s, 6 of 21 steps done, 1 failed, 4 blocked: 1 step failed",
      "  n3/image: chunk 412 is damaged: expected sha256 4f1c9a, found 9be0d2; repair the image in the store",
      "see why: muster logs demo-1/n3/image",
      "continue it: muster retry demo-1",
    ]);
  });
});
