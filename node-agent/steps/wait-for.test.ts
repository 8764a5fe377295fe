import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { WaitForActionSchema } from "../../proto/gen/muster/v1/task_pb.ts";
import { type TestContext, testContext } from "../step-fixture.ts";
import { waitFor } from "./wait-for.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wait-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

type What = NonNullable<MessageInitShape<typeof WaitForActionSchema>["what"]>;

function perform(what: What, context: TestContext = testContext()) {
  return waitFor(create(WaitForActionSchema, { what, every: { nanos: 50_000_000 } }), context);
}

describe("wait_for", () => {
  it("a port says that it is closed, until it takes connections", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const context = testContext({ values: { parameters: { port } } });
    const waiting = perform({ case: "port", value: "127.0.0.1:{{ parameters.port }}" }, context);
    await delay(200);
    const closed = `connect ECONNREFUSED 127.0.0.1:${port}`;
    expect(context.reports.at(-1)).toEqual({ activity: `waits for port 127.0.0.1:${port}: ${closed}` });
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    const done = await waiting;
    expect(done).toMatchObject({ outcome: TaskOutcome.OK });
    await new Promise((resolve) => server.close(resolve));
    // The same reason is not logged at every look.
    expect(context.lines.filter((line) => line.includes("ECONNREFUSED"))).toHaveLength(1);
  });

  it("an address answers with a status below 400", async () => {
    let status = 503;
    const server = createHttpServer((_, response) => response.writeHead(status).end("x"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const context = testContext();
    const waiting = perform({ case: "http", value: `http://127.0.0.1:${port}/health` }, context);
    await delay(150);
    expect(context.reports.at(-1)?.activity).toContain("it answers 503 Service Unavailable");
    status = 204;
    expect(await waiting).toMatchObject({ outcome: TaskOutcome.OK });
    server.closeAllConnections();
    server.close();
  });

  it("a file is there, and a command succeeds", async () => {
    const file = join(dir, "flag");
    const waiting = perform({ case: "file", value: file });
    const command = perform({ case: "command", value: `test -e ${file} || exit 9` });
    await delay(120);
    writeFileSync(file, "");
    expect(await waiting).toMatchObject({ result: expect.stringContaining(`file ${file}: it is so after`) });
    expect(await command).toMatchObject({ outcome: TaskOutcome.OK });
  });

  it("looks once in a check", async () => {
    const context = testContext({ check: true });
    expect(await perform({ case: "file", value: join(dir, "none") }, context)).toEqual({
      result: `file ${join(dir, "none")}: it would wait, as it is not there`,
      outcome: TaskOutcome.OK,
    });
  });

  it("ends when it is cancelled", async () => {
    const controller = new AbortController();
    const context = testContext({ signal: controller.signal });
    const waiting = perform({ case: "file", value: join(dir, "none") }, context);
    await delay(100);
    controller.abort(new Error("cancelled"));
    await expect(waiting).rejects.toThrow();
  });

  it.each([
    ["port" as const, "localhost", "must be HOST:PORT"],
    ["port" as const, "10.0.0.1:99999", "must be HOST:PORT"],
    ["http" as const, "10.0.0.1/health", "must be an address such as"],
  ])("%s %s is refused", async (kind, value, message) => {
    await expect(perform({ case: kind, value })).rejects.toThrow(message);
  });
});
