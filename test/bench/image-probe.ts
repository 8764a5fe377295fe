// One agent and one watcher of a daemon: how long it takes to answer a heartbeat, and to tell a change.
// Arguments: state directory, port to join, port of agents, seconds. Prints the 99th percentiles.
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { credentials } from "@grpc/grpc-js";
import { certificateRequest } from "../../node-agent/identity.ts";
import {
  AgentService,
  EnrollService,
  type SessionRequest,
  type SessionResponse,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import { Environment, NodeService } from "../../proto/gen/muster/v1/node_pb.ts";
import { WatchRequest_Kind, WatchService } from "../../proto/gen/muster/v1/watch_pb.ts";
import { Connection } from "../../proto/rpc/client.ts";
import { methodDefinition } from "../../proto/rpc/wire.ts";
import { joinSecrets } from "./bench-daemon.ts";
import { fingerprintOf, inventoryOf } from "./fixture.ts";
import { Link } from "./link.ts";

const everyMs = 25;
const [stateDir = "", enrollPort = "", agentPort = "", seconds = ""] = process.argv.slice(2);
const { caPem, joinToken } = joinSecrets(stateDir);
using operator = new Connection(`unix:${join(stateDir, "muster.sock")}`, credentials.createInsecure());
const nodes = operator.client(NodeService);

const identity = await enroll();
const end = performance.now() + Number(seconds) * 1000;
const [heartbeats, watches] = await Promise.all([timeHeartbeats(), timeWatch()]);
const figures = {
  heartbeatMs: p99(heartbeats),
  watchMs: p99(watches),
  samples: Math.min(heartbeats.length, watches.length),
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
process.exit(0);

async function enroll() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  using connection = new Connection(`127.0.0.1:${enrollPort}`, credentials.createSsl(Buffer.from(caPem)));
  const service = connection.client(EnrollService);
  const request = {
    joinToken,
    csr: await certificateRequest(pem),
    fingerprint: fingerprintOf(1),
    inventory: inventoryOf(1),
  };
  for (let left = 20; left > 0; left--) {
    const { outcome } = await service.enroll(request, { timeoutMs: 60_000 });
    if (outcome.case === "enrolled") return { privateKey: pem, caPem, ...outcome.value };
    if (outcome.case === "pending") await nodes.approveNode({ name: outcome.value.node });
  }
  throw new Error("the daemon does not let the probe join");
}

/** Every other heartbeat is answered. */
async function timeHeartbeats(): Promise<number[]> {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(AgentService.method.session);
  const times: number[] = [];
  let answered: (() => void) | undefined;
  const welcome = Promise.withResolvers<void>();
  const link = new Link<SessionResponse, Partial<SessionRequest>>(`127.0.0.1:${agentPort}`, identity, {
    path,
    encode: requestSerialize as unknown as (message: Partial<SessionRequest>) => Buffer,
    decode: responseDeserialize as unknown as (bytes: Buffer) => SessionResponse,
    first: () => [hello()],
    receive: ({ message }) => {
      if (message.case === "welcome") welcome.resolve();
      if (message.case === "heartbeatAck") answered?.();
      return message.case === "welcome";
    },
  });
  link.open();
  await welcome.promise;
  const beat = () =>
    link.send({ message: { case: "heartbeat", value: { $typeName: "muster.v1.Heartbeat" } } });
  while (performance.now() < end) {
    const { promise, resolve } = Promise.withResolvers<void>();
    answered = resolve;
    const begin = performance.now();
    beat();
    beat();
    await promise;
    times.push(performance.now() - begin);
    await sleep(everyMs);
  }
  link.close();
  return times;
}

function hello(): Partial<SessionRequest> {
  return {
    message: {
      case: "hello",
      value: {
        $typeName: "muster.v1.Hello",
        environment: Environment.BOOTSTRAP,
        bootId: "00000000-0000-4000-8000-000000000001",
        agentVersion: "bench",
        running: [],
        finished: [],
        address: "127.0.0.1",
        highestFence: 0n,
      },
    },
  };
}

/** From the call that changes a node to the watcher's hearing of it. */
async function timeWatch(): Promise<number[]> {
  const watch = operator.client(WatchService);
  const times: number[] = [];
  const stop = new AbortController();
  let changed: (() => void) | undefined;
  const reading = (async () => {
    const changes = watch.watch({ kinds: [WatchRequest_Kind.NODE] }, { signal: stop.signal });
    for await (const { change } of changes) if (change.case === "put") changed?.();
  })().catch(() => {});
  await sleep(500);
  let maintenance = false;
  while (performance.now() < end) {
    maintenance = !maintenance;
    const { promise, resolve } = Promise.withResolvers<void>();
    changed = resolve;
    const begin = performance.now();
    await nodes.updateNode({
      node: { name: identity.node, maintenance },
      updateMask: { paths: ["maintenance"] },
    });
    await promise;
    times.push(performance.now() - begin);
    await sleep(everyMs);
  }
  stop.abort();
  await reading;
  return times;
}

function p99(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? Number.NaN;
}
