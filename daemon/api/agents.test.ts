// One session of an agent with the real engine and store, message by message.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { pino } from "pino";
import { beforeEach, expect, it } from "vitest";
import {
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponseSchema,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import { Environment, Fault_Kind } from "../../proto/gen/muster/v1/node_pb.ts";
import { MessageQueue } from "../../proto/rpc/queue.ts";
import { codes } from "../../proto/rpc/status.ts";
import { World } from "../engine/deployment-world.ts";
import { ProgressBoard } from "../engine/progress.ts";
import { Sessions } from "../engine/sessions.ts";
import { agentService } from "./agents.ts";
import { noFetchedFiles, noFiles } from "./files-fixture.ts";

type Response = MessageInitShape<typeof SessionResponseSchema>["message"];

let world: World;
let sessions: Sessions;
let timers: (() => void)[];
let stored: string[];
let diskIsFull: boolean;

beforeEach(async () => {
  world = await World.start(["n1"]);
  sessions = new Sessions();
  timers = [];
  stored = [];
  diskIsFull = false;
});

/** What an agent says by `requests`, and what it hears in `heard`. */
function open(commonName = "n1") {
  const requests = new MessageQueue<SessionRequest>(10);
  const none = () => Promise.reject(new Error("not in this test"));
  const service = agentService(
    {
      engine: world.engine,
      sessions,
      progress: new ProgressBoard(),
      hub: { progress: () => {} },
      logs: {
        append: async (_token, offset, content) => {
          if (diskIsFull) throw new Error("ENOSPC");
          stored.push(Buffer.from(content).toString());
          return offset + BigInt(content.length);
        },
      },
      images: { signed: none },
      admit: () => ({ ticket: "", grpcAddress: "", httpAddress: "" }),
      secrets: { open: () => new Uint8Array() },
      files: noFiles,
      fetched: noFetchedFiles,
      log: pino({ level: "silent" }),
      clock: () => world.nowMs,
    },
    {
      after: (_ms, work) => {
        timers.push(work);
        return () => {
          timers = timers.filter((timer) => timer !== work);
        };
      },
      keyDigestOf: () => "k",
    },
  );
  const heard: Response[] = [];
  const call = { signal: new AbortController().signal, peer: "", commonName, certificate: new Uint8Array() };
  const ended = (async () => {
    for await (const { message } of service.session(requests, call)) heard.push(message);
  })();
  ended.catch(() => {});
  const say = async (message: MessageInitShape<typeof SessionRequestSchema>["message"]) => {
    requests.push(create(SessionRequestSchema, { message }));
    await settled();
  };
  const cases = () => heard.map((message) => message?.case);
  return { say, heard, cases, ended };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));
const hello = { case: "hello" as const, value: { environment: Environment.BOOTSTRAP, bootId: "boot" } };

it("greets with a lease and a session of its own, and answers heartbeats", async () => {
  const first = open();
  await first.say(hello);
  await first.say({ case: "heartbeat", value: {} });
  expect(first.cases()).toEqual(["welcome", "heartbeatAck"]);
  const second = open();
  await settled();
  const ids = [first, second].map(({ heard }) => heard[0]?.case === "welcome" && heard[0].value?.sessionId);
  expect(new Set(ids).size).toBe(2);
  expect(first.heard[0]).toMatchObject({ value: { node: "n1", lease: { seconds: 40n } } });
});

it("hears nothing of an older session once there is a newer one", async () => {
  const older = open();
  await older.say(hello);
  const newer = open();
  await newer.say({ case: "hello", value: { ...hello.value, bootId: "boot-2" } });
  await older.say({ case: "hello", value: { ...hello.value, bootId: "boot-1-again" } });
  await older.ended;
  expect(world.node("n1")).toMatchObject({ bootId: "boot-2", online: true });
});

it("tells a session nothing before its hello, which may come from another boot", async () => {
  const session = open();
  await settled();
  sessions.send("n1", { case: "cancel", value: { token: "demo-1/n1/partition/1" } });
  await session.say(hello);
  sessions.send("n1", { case: "cancel", value: { token: "demo-1/n1/image/1" } });
  await settled();
  expect(session.heard.slice(1)).toMatchObject([{ case: "cancel", value: { token: "demo-1/n1/image/1" } }]);
});

it("puts a silent agent's node in doubt, takes that back, and ends the session in the end", async () => {
  const session = open();
  await session.say(hello);
  const fire = async () => {
    for (const timer of timers.splice(0)) timer();
    await settled();
  };
  await fire();
  expect(world.node("n1").faults).toMatchObject([{ kind: Fault_Kind.LATE }]);
  await session.say({ case: "heartbeat", value: {} });
  expect(world.node("n1").faults).toEqual([]);
  await fire();
  await fire();
  await session.ended;
  expect(world.node("n1").online).toBe(false);
});

it("ends only the session of an agent that does not read", async () => {
  const session = open();
  await session.say(hello);
  await world.declare("n2");
  const other = open("n2");
  await other.say(hello);
  for (let count = 0; count < 1_001; count++) sessions.send("n1", { case: "cancel", value: { token: "t" } });
  await expect(session.ended).rejects.toMatchObject({ code: codes.RESOURCE_EXHAUSTED });
  await other.say({ case: "heartbeat", value: {} });
  expect(other.cases().at(-1)).toBe("heartbeatAck");
  expect(world.node("n1").online).toBe(false);
});

it("keeps a session whose log it cannot store, and leaves no gap in that log", async () => {
  const session = open();
  await session.say(hello);
  const log = (offset: bigint, text: string) =>
    session.say({
      case: "log",
      value: { token: "demo-1/n1/partition/1", offset, content: Buffer.from(text) },
    });
  await log(0n, "one");
  diskIsFull = true;
  await log(3n, "two");
  diskIsFull = false;
  await log(6n, "three");
  await session.say({ case: "heartbeat", value: {} });
  expect(stored).toEqual(["one"]);
  expect(session.cases().filter((name) => name === "logAck")).toHaveLength(1);
  expect(session.cases().at(-1)).toBe("heartbeatAck");
});

it.each([
  ["step", "old-1/n1/partition/1"],
  ["attempt", "demo-1/n1/partition/2"],
  ["token that is none", "demo-1/n1/partition/1 "],
])("counts the log of an unknown %s as stored", async (_, token) => {
  const session = open();
  await session.say(hello);
  await session.say({ case: "log", value: { token, offset: 5n, content: Buffer.from("text") } });
  expect(session.heard.at(-1)).toMatchObject({ case: "logAck", value: { token, offset: 9n } });
  expect(stored).toEqual([]);
});
