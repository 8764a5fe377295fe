// A program that prints much and fast, on its way through the real agent, gRPC with mutual TLS, and onto the daemon's
// disk: nothing of it is lost, and the session does not suffer.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createReadStream, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { agentService } from "../../daemon/api/agents.ts";
import { noFetchedFiles, noFiles } from "../../daemon/api/files-fixture.ts";
import { planStep } from "../../daemon/domain/planned.ts";
import { put } from "../../daemon/domain/state.ts";
import { openCa } from "../../daemon/drivers/ca.ts";
import { World } from "../../daemon/engine/deployment-world.ts";
import { Effects } from "../../daemon/engine/effects.ts";
import { ProgressBoard } from "../../daemon/engine/progress.ts";
import { Sessions } from "../../daemon/engine/sessions.ts";
import { StepLogs } from "../../daemon/engine/step-logs.ts";
import { certificateRequest, IdentityStore } from "../../node-agent/identity.ts";
import {
  AgentService,
  type SessionRequest,
  type SessionResponseSchema,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import { PlanSchema, Purpose, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Node_State, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { serve } from "../../proto/rpc/server.ts";
import { daemonTlsName, serverMessageLimits } from "../../proto/rpc/wire.ts";

const outputBytes = 100_000_000;
/** Figure to reach: 50 MB/s on an idle machine. Here others may be busy, too. */
const mostSeconds = 60;

/** The daemon calls an agent late that has not been heard of for 16 seconds. */
const longestGapMs = 2_000;

let dir: string;
let world: World;
let server: Server;
let agent: ChildProcess | undefined;
/** When heartbeats came, in milliseconds. */
let beats: number[];
let acting: NodeJS.Timeout;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "output-"));
  beats = [];
  world = await World.start([]);
  server = new Server(serverMessageLimits);
});
afterEach(async () => {
  if (agent && agent.exitCode === null) {
    agent.kill("SIGKILL");
    await once(agent, "exit");
  }
  clearInterval(acting);
  server.forceShutdown();
  rmSync(dir, { recursive: true });
});

it("prints 100 MB onto the daemon's disk, byte by byte, while heartbeats go on", {
  timeout: 180_000,
}, async () => {
  const source = join(dir, "source");
  const lines = randomBytes(outputBytes / 4)
    .toString("base64")
    .replace(/.{99}/g, "$&\n");
  writeFileSync(source, `${lines}\n`);
  await startDaemon();
  await startAgent();
  const started = performance.now();
  const action = { kind: { case: "shell" as const, value: { command: `cat ${source}; echo the end` } } };
  const step = planStep({ node: "n1", task: "flood", requires: [], timeout: { seconds: 170n }, action });
  await world.start(
    create(PlanSchema, {
      cluster: "demo",
      purpose: Purpose.DEPLOY,
      hash: "h",
      nodes: [{ node: "n1" }],
      steps: [step],
    }),
  );
  await vi.waitFor(() => expect(world.step("n1/flood").state).toBe(Step_State.SUCCEEDED), {
    timeout: 150_000,
    interval: 50,
  });
  const seconds = (performance.now() - started) / 1000;
  const log = join(dir, "logs", `${world.step("n1/flood").token}.log`);
  const command = `$ /bin/sh -e -c 'cat ${source}; echo the end'\n`;
  const whole = command.length + lines.length + 1 + "the end\n".length;
  await vi.waitFor(() => expect(statSync(log).size).toBe(whole), { timeout: 20_000, interval: 50 });
  const middle = { start: command.length, end: whole - "the end\n".length - 1 };
  expect(await sha256(log, middle)).toBe(await sha256(source, {}));
  expect(seconds).toBeLessThan(mostSeconds);
  const meanwhile = beats.filter((time) => time >= started && time <= started + seconds * 1000);
  const gaps = meanwhile.slice(1).map((time, index) => time - (meanwhile[index] ?? time));
  expect(gaps.length).toBeGreaterThan(5);
  expect(Math.max(...gaps)).toBeLessThan(longestGapMs);
});

async function startDaemon(): Promise<void> {
  const none = () => {
    throw new Error("not in this test");
  };
  const log = pino({ level: "silent" });
  const sessions = new Sessions();
  const logs = new StepLogs(join(dir, "logs"));
  const effects = new Effects(none, sessions, logs, log);
  acting = setInterval(() => effects.act(world.engine, world.take()), 20);
  const service = agentService(
    {
      engine: world.engine,
      sessions,
      progress: new ProgressBoard(),
      hub: { progress: () => {} },
      logs,
      images: { signed: none },
      admit: () => ({ ticket: "", grpcAddress: "", httpAddress: "" }),
      secrets: { open: () => new Uint8Array() },
      files: noFiles,
      fetched: noFetchedFiles,
      log,
      clock: () => world.nowMs,
    },
    { keyDigestOf: () => "k" },
  );
  const session: typeof service.session = (requests, call) => quick(service.session(heard(requests), call));
  serve(server, AgentService, { ...service, session });
  const node = create(NodeSchema, { name: "n1", state: Node_State.READY, keyDigest: "k" });
  await world.engine.decide((decision) => decision.change(put({ case: "node", value: node })));
}

async function* heard(requests: AsyncIterable<SessionRequest>): AsyncGenerator<SessionRequest> {
  for await (const request of requests) {
    if (request.message.case === "heartbeat") beats.push(performance.now());
    yield request;
  }
}

/** Has the agent send a heartbeat every 50 ms, in place of five seconds. */
async function* quick(
  responses: AsyncIterable<MessageInitShape<typeof SessionResponseSchema>>,
): AsyncGenerator<MessageInitShape<typeof SessionResponseSchema>> {
  for await (const { message } of responses) {
    if (message?.case !== "welcome") yield { message };
    else
      yield {
        message: { case: "welcome", value: { ...message.value, heartbeatInterval: durationFromMs(50) } },
      };
  }
}

/** The real one, as a process of its own. Returns when it has said hello. */
async function startAgent(): Promise<void> {
  const ca = await openCa(join(dir, "pki"), ["127.0.0.1", daemonTlsName], () => new Date());
  const pair = { private_key: Buffer.from(ca.serverKey), cert_chain: Buffer.from(ca.serverCert) };
  const mutual = ServerCredentials.createSsl(Buffer.from(ca.caPem), [pair], true);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", mutual, (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  const root = join(dir, "machine");
  const identity = new IdentityStore(join(root, "var/lib/muster/agent"));
  const { certificate } = await ca.signNode(await certificateRequest(await identity.key()), "n1");
  await identity.saveCertificate(certificate);
  mkdirSync(join(root, "etc/muster"), { recursive: true });
  const address = `127.0.0.1:${port}`;
  const bundle = { enrollAddress: address, agentAddress: address, caCertificate: ca.caPem };
  writeFileSync(join(root, "etc/muster/join.json"), JSON.stringify(bundle));
  const main = join(import.meta.dirname, "../../node-agent/main.ts");
  let printed = "";
  agent = spawn(process.execPath, [main, "--root", root], { stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [agent.stdout, agent.stderr]) {
    stream?.on("data", (chunk) => {
      printed += chunk;
    });
  }
  await vi.waitFor(() => expect(world.node("n1").online, printed).toBe(true), {
    timeout: 60_000,
    interval: 50,
  });
}

async function sha256(path: string, part: { start?: number; end?: number }): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, part)) hash.update(piece);
  return hash.digest("hex");
}
