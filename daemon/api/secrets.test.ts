// Who is given a secret: an attempt that runs, on the node that asks, and whose plan names it.
import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { beforeEach, expect, it } from "vitest";
import { GetSecretRequestSchema } from "../../proto/gen/muster/v1/agent_pb.ts";
import { PlanSchema, Purpose } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { SecretRecordSchema } from "../../proto/gen/muster/v1/record_pb.ts";
import { codes } from "../../proto/rpc/status.ts";
import { planStep } from "../domain/planned.ts";
import { SecretError, SecretVault } from "../drivers/secret-vault.ts";
import { World } from "../engine/deployment-world.ts";
import { ProgressBoard } from "../engine/progress.ts";
import { Sessions } from "../engine/sessions.ts";
import { agentService } from "./agents.ts";
import { noFetchedFiles, noFiles } from "./files-fixture.ts";

const vault = new SecretVault(Buffer.alloc(32, 7));
const token = (node: string, task = "partition", attempt = 1) => `demo-1/${node}/${task}/${attempt}`;
const denied = { code: codes.PERMISSION_DENIED, reason: "SECRET_DENIED" };

let world: World;
let lines: string[];

/** n1 and n2 partition their disks, each with a secret of its own; n1 seeds afterwards. */
beforeEach(async () => {
  lines = [];
  world = await World.start([]);
  for (const name of ["n1", "n2"]) {
    await world.declare(name);
    await store(`key-of-${name}`, `the content for ${name}`);
  }
  await world.start(plan);
  for (const name of ["n1", "n2"]) await world.hello(name, `boot-${name}`);
});

const work = (node: string, task: "partition" | "seed", requires: string[]) =>
  planStep({
    node,
    task,
    requires,
    timeout: { seconds: 600n },
    action: {
      kind: { case: task, value: { plan: { luks: [{ name: "safe", secret: `key-of-${node}` }] } } },
    },
  });
const begin = (node: string) =>
  planStep({
    node,
    task: "bootstrap",
    timeout: { seconds: 600n },
    action: { kind: { case: "bootstrap", value: {} } },
  });
const plan = create(PlanSchema, {
  cluster: "demo",
  purpose: Purpose.DEPLOY,
  nodes: [{ node: "n1" }, { node: "n2" }],
  steps: [
    begin("n1"),
    begin("n2"),
    work("n1", "partition", ["n1/bootstrap"]),
    work("n2", "partition", ["n2/bootstrap"]),
    work("n1", "seed", ["n1/partition"]),
  ],
});

function store(name: string, content: string, sealer = vault) {
  const sealed = sealer.seal(name, Buffer.from(content));
  return world.engine.decide((decision) =>
    decision.change({ secret: create(SecretRecordSchema, { secret: { name }, ...sealed }) }),
  );
}

async function ask(commonName: string, attempt: string, name: string, key = "k"): Promise<string> {
  const none = () => Promise.reject(new Error("not in this test"));
  const service = agentService(
    {
      engine: world.engine,
      sessions: new Sessions(),
      progress: new ProgressBoard(),
      hub: { progress: () => {} },
      logs: { append: none },
      images: { signed: none },
      admit: () => ({ ticket: "", grpcAddress: "", httpAddress: "" }),
      secrets: vault,
      files: noFiles,
      fetched: noFetchedFiles,
      log: pino({ level: "trace" }, { write: (line: string) => lines.push(line) }),
      clock: () => world.nowMs,
    },
    { keyDigestOf: () => key },
  );
  const call = { signal: new AbortController().signal, peer: "", commonName, certificate: new Uint8Array() };
  const { content = new Uint8Array() } = await service.getSecret(
    create(GetSecretRequestSchema, { token: attempt, name }),
    call,
  );
  return Buffer.from(content).toString();
}

it("is the attempt that runs; the daemon's log has its name and no more", async () => {
  expect(await ask("n1", token("n1"), "key-of-n1")).toBe("the content for n1");
  expect(await ask("n1", token("n1"), "key-of-n1")).toBe("the content for n1");
  expect(lines.join("")).toMatch(/"node":"n1".*"secret":"key-of-n1"/);
  expect(lines.join("")).not.toContain("the content");
});

it("is still that attempt while the daemon has no word of it", async () => {
  await world.gone("n1");
  expect(await ask("n1", token("n1"), "key-of-n1")).toBe("the content for n1");
});

it.each<[string, [string, string, string]]>([
  ["another node, by that node's own attempt", ["n2", token("n2"), "key-of-n1"]],
  ["another node, by the attempt that needs it", ["n2", token("n1"), "key-of-n1"]],
  ["an attempt that has not begun", ["n1", token("n1", "seed"), "key-of-n1"]],
  ["an attempt that there will be", ["n1", token("n1", "partition", 2), "key-of-n1"]],
  ["a step that names no secret", ["n1", token("n1", "bootstrap"), "key-of-n1"]],
  ["a token that is none", ["n1", "key-of-n1", "key-of-n1"]],
  ["an attempt that does not name it, stored or not", ["n1", token("n1"), "no-such-key"]],
])("is not %s", async (_, [node, attempt, name]) => {
  await expect(ask(node, attempt, name)).rejects.toMatchObject(denied);
});

it("is not an attempt that is over; the next one is", async () => {
  await world.succeed("n1/partition");
  await expect(ask("n1", token("n1"), "key-of-n1")).rejects.toMatchObject(denied);
  expect(await ask("n1", token("n1", "seed"), "key-of-n1")).toBe("the content for n1");
});

it("is not who has another key than the node", async () => {
  const refusal = ask("n1", token("n1"), "key-of-n1", "another");
  await expect(refusal).rejects.toMatchObject({ code: codes.UNAUTHENTICATED, reason: "NOT_JOINED" });
});

it("is told plainly when the secret is gone, or was stored under another key", async () => {
  await store("key-of-n1", "anew", new SecretVault(Buffer.alloc(32, 8)));
  const unreadable = ask("n1", token("n1"), "key-of-n1");
  await expect(unreadable).rejects.toMatchObject({ code: codes.DATA_LOSS, reason: "SECRET_UNREADABLE" });
  await expect(unreadable).rejects.toMatchObject({ cause: expect.any(SecretError) });
  await world.engine.decide((decision) => decision.change({ forgetSecret: "key-of-n1" }));
  await expect(ask("n1", token("n1"), "key-of-n1")).rejects.toMatchObject({
    code: codes.NOT_FOUND,
    message: expect.stringMatching(/muster secret set key-of-n1/),
  });
});
