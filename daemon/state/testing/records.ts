// Changes for tests of the store, and what the engine does with them.
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  AttemptSchema,
  DeploymentSchema,
  Step_State,
  StepSchema,
  TaskRecordSchema,
} from "../../../proto/gen/muster/v1/deployment_pb.ts";
import { NodeSchema } from "../../../proto/gen/muster/v1/node_pb.ts";
import { RequestRecordSchema, SecretRecordSchema } from "../../../proto/gen/muster/v1/record_pb.ts";
import { Event_Severity, EventSchema } from "../../../proto/gen/muster/v1/watch_pb.ts";
import { type Change, put } from "../../domain/state.ts";
import { openDatabase, openWitness } from "../open.ts";
import { Store } from "../store.ts";

export const node = (name: string, reason = "") =>
  put({ case: "node", value: create(NodeSchema, { name, reason }) });

export const event = (message: string) =>
  put({ case: "event", value: create(EventSchema, { severity: Event_Severity.INFO, message }) });

export const deployment = (name: string) =>
  put({ case: "deployment", value: create(DeploymentSchema, { name }) });

export const step = (name: string) => {
  const [deployment, node, task] = name.split("/");
  return put({ case: "step", value: create(StepSchema, { name, deployment, node, task }) });
};

export const taskRecord = (node: string, task: string) => {
  const value = create(TaskRecordSchema, { name: `${node}/${task}`, node, task, digest: "d" });
  return put({ case: "taskRecord", value });
};

export const attempt = (name: string, fence: bigint, state: Step_State = Step_State.RUNNING) => {
  const [deployment = "", node = "", task = "", number = ""] = name.split("/");
  const step = `${deployment}/${node}/${task}`;
  const value = { name, step, deployment, node, task, number: Number(number), fence, state };
  return put({ case: "attempt", value: create(AttemptSchema, value) });
};

export const request = (requestId: string, timeMs: number): Change => ({
  request: create(RequestRecordSchema, { requestId, time: timestampFromMs(timeMs) }),
});

export const secret = (name: string, sealed: string): Change => ({
  secret: create(SecretRecordSchema, { secret: { name }, sealed: Buffer.from(sealed) }),
});

/** Changes of one decision: applied, numbered, stored. */
export async function commit(store: Store, ...changes: Change[]): Promise<void> {
  for (const change of changes) {
    if (!("put" in change) || change.put.kind.case !== "event") store.state.apply(change);
  }
  await store.commit(store.number(changes, store.revision + 1n));
}

/** As the daemon opens it. */
export async function openStore(stateDir: string): Promise<Store> {
  const directory = join(stateDir, "db");
  return Store.open(await openDatabase(directory), openWitness(directory));
}
