// Commands on many nodes, with the sessions of agents that the test plays.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { SessionResponse } from "../../proto/gen/muster/v1/agent_pb.ts";
import { RunRequestSchema, type RunResponse } from "../../proto/gen/muster/v1/run_pb.ts";
import { World } from "../engine/deployment-world.ts";
import { type Session, Sessions } from "../engine/sessions.ts";
import { runService } from "./runs.ts";

type Told = SessionResponse["message"];

let world: World;
let sessions: Sessions;
const open = new Map<string, Session>();
const told = new Map<string, Told[]>();

beforeEach(async () => {
  world = await World.start(["n1", "n2", "n3"]);
  sessions = new Sessions();
  open.clear();
  told.clear();
  for (const name of ["n1", "n2", "n3"]) {
    const session = sessions.open(name, 0);
    session.greeted = true;
    open.set(name, session);
    const heard: Told[] = [];
    told.set(name, heard);
    void (async () => {
      for await (const { message } of session.queue) heard.push(message);
    })();
  }
});
afterEach(() => vi.useRealTimers());

/** A call whose answers are collected; `stop` is the caller going away. */
function run(request: MessageInitShape<typeof RunRequestSchema>) {
  const full = create(RunRequestSchema, { selectors: ["*"], argv: ["uptime"], ...request });
  const caller = new AbortController();
  const call = {
    signal: caller.signal,
    peer: "",
    commonName: "",
    certificate: new Uint8Array(),
  };
  const stream = runService({ engine: world.engine, sessions }).run(full, call)[Symbol.asyncIterator]();
  const answers: RunResponse["message"][] = [];
  const ended = (async () => {
    for (let next = await stream.next(); !next.done; next = await stream.next()) {
      answers.push(next.value.message as RunResponse["message"]);
    }
  })();
  ended.catch(() => {});
  return { answers, ended, stop: () => caller.abort() };
}

/** The id of the command that the node was given, once it was. */
async function given(node: string): Promise<string> {
  const command = await vi.waitFor(() => {
    const last = told.get(node)?.findLast(({ case: kind }) => kind === "runCommand");
    if (last?.case !== "runCommand") throw new Error(`${node} was given nothing`);
    return last.value;
  });
  return command.id;
}

const listener = (node: string, id: string) => open.get(node)?.commands.get(id);

function exit(node: string, id: string, exitCode = 0): void {
  const heard = listener(node, id);
  open.get(node)?.commands.delete(id);
  heard?.exit({ exitCode, reason: "", droppedBytes: 0n });
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

describe("a run", () => {
  it("tells which nodes, then what each says, then how it ended; its arguments are in no event", async () => {
    const { answers, ended } = run({ selectors: ["n[1-2]"], argv: ["mysql", "-psecret"] });
    const id = await given("n1");
    listener("n1", id)?.output(false, Buffer.from("up"));
    exit("n2", await given("n2"), 3);
    exit("n1", id);
    await ended;
    expect(answers).toMatchObject([
      { case: "chosen", value: { nodes: ["n1", "n2"], offline: [] } },
      { case: "output", value: { node: "n1", error: false, content: Buffer.from("up") } },
      { case: "ended", value: { node: "n2", exitCode: 3 } },
      { case: "ended", value: { node: "n1", exitCode: 0 } },
    ]);
    expect(told.get("n3")).toEqual([]);
    const [event] = world.engine.state.events.filter(({ reason }) => reason === "COMMAND");
    expect(event?.message).toBe("`mysql` on 2 nodes, chosen by n[1-2]");
  });

  it("gives the command to so many nodes at once", async () => {
    const { ended } = run({ batch: 2 });
    exit("n1", await given("n1"));
    const id = await given("n3");
    expect(told.get("n3")).toHaveLength(1);
    exit("n3", id);
    exit("n2", await given("n2"));
    await ended;
  });

  it("begins on the next one only when one has ended", async () => {
    const { ended, stop } = run({ batch: 1 });
    await given("n1");
    await settled();
    expect(told.get("n2")).toEqual([]);
    stop();
    await ended;
  });

  it("gives the place of a silent node to another", async () => {
    const { answers, ended } = run({ batch: 1 });
    const mute = await given("n1");
    listener("n1", mute)?.late();
    exit("n2", await given("n2"));
    exit("n3", await given("n3"));
    exit("n1", mute);
    await ended;
    expect(answers.slice(1).map((answer) => answer.case === "ended" && answer.value.node)).toEqual([
      "n2",
      "n3",
      "n1",
    ]);
  });

  it("leaves out nodes without a session, and runs nothing when only asked which", async () => {
    sessions.close(open.get("n2") as Session);
    const { answers, ended } = run({ validateOnly: true });
    await ended;
    expect(answers).toMatchObject([
      { case: "chosen", value: { nodes: ["n1", "n2", "n3"], offline: ["n2"] } },
    ]);
    expect([...told.values()].flat()).toEqual([]);
  });

  it("is ended everywhere when the caller goes away", async () => {
    const { stop } = run({ selectors: ["n[1-2]"] });
    const id = await given("n1");
    await given("n2");
    stop();
    await settled();
    for (const node of ["n1", "n2"]) {
      expect(told.get(node)?.at(-1)).toMatchObject({ case: "cancelCommand", value: { id } });
      expect(open.get(node)?.commands.size).toBe(0);
    }
  });

  it("says of a node whose session ends, and of one that is mute, that it is lost; others are not held up", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { answers, ended } = run({ timeout: durationFromMs(30_000) });
    await vi.waitFor(() => given("n3"));
    sessions.close(open.get("n1") as Session);
    exit("n2", await given("n2"));
    await vi.advanceTimersByTimeAsync(39_000);
    expect(answers.map(({ case: kind }) => kind)).toEqual(["chosen", "ended", "ended"]);
    await vi.advanceTimersByTimeAsync(2_000);
    await ended;
    expect(answers.slice(1)).toMatchObject([
      { value: { node: "n1", reason: "lost: its session has ended" } },
      { value: { node: "n2", reason: "" } },
      { value: { node: "n3", reason: "lost: its agent has not answered for 40 s" } },
    ]);
  });

  it("drops and counts what a caller that does not read leaves waiting", async () => {
    const service = runService({ engine: world.engine, sessions });
    const call = {
      signal: new AbortController().signal,
      peer: "",
      commonName: "",
      certificate: new Uint8Array(),
    };
    const request = create(RunRequestSchema, { selectors: ["n1"], argv: ["yes"] });
    const stream = service.run(request, call)[Symbol.asyncIterator]();
    await stream.next();
    const first = stream.next();
    const id = await given("n1");
    const piece = new Uint8Array(1 << 20);
    for (let count = 0; count < 100; count++) listener("n1", id)?.output(false, piece);
    exit("n1", id);
    await first;
    let [bytes, dropped] = [piece.length, 0n];
    for (let next = await stream.next(); !next.done; next = await stream.next()) {
      const { message } = next.value as RunResponse;
      if (message.case === "output") bytes += message.value.content.length;
      if (message.case === "ended") dropped = message.value.droppedBytes;
    }
    expect(bytes).toBeLessThan(40 << 20);
    expect(BigInt(bytes) + dropped).toBe(100n << 20n);
  });

  it.each<[MessageInitShape<typeof RunRequestSchema>, string | RegExp]>([
    [{ selectors: ["n9"] }, "selectors: there is no node `n9`; did you mean `n1`?"],
    [{ selectors: ["rol = x"] }, /there is no field `rol`/],
    [{ selectors: [" "] }, "selectors: nothing is chosen; `*` is every node"],
    [{ selectors: ["role = none"] }, "no node is chosen by role = none"],
    [{ argv: [""] }, "argv[0]: it is empty"],
    [{ timeout: durationFromMs(700_000_000) }, "timeout: it is more than a week"],
    [{ outputLimit: 1n << 40n }, "outputLimit: it is more than 1 GiB"],
  ])("refuses %o", async (request, message) => {
    await expect(run(request).ended).rejects.toThrow(message);
  });
});
