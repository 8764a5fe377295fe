// What every gRPC server is expected to have: health, reflection, and a plain word about nonsense.
import { credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { healthService, Readiness } from "../../daemon/api/health.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../proto/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../proto/gen/grpc/reflection/v1/reflection_pb.ts";
import { Connection } from "../../proto/rpc/client.ts";
import { codes } from "../../proto/rpc/status.ts";
import { startTestDaemon, type TestDaemon } from "./daemon.ts";

let daemon: TestDaemon;
let connection: Connection;
beforeAll(async () => {
  daemon = await startTestDaemon([], "--reflection");
  connection = open(daemon);
});
afterAll(async () => {
  connection[Symbol.dispose]();
  await daemon[Symbol.asyncDispose]();
});

function open({ socket }: TestDaemon): Connection {
  return new Connection(`unix:${socket}`, credentials.createInsecure(), {
    "grpc.default_authority": "muster",
  });
}

describe("health", () => {
  it("is known for every service of the socket, and for it as a whole", async () => {
    const health = connection.client(Health);
    for (const service of ["", "muster.v1.NodeService", "muster.v1.DaemonService"])
      expect(await health.check({ service })).toMatchObject({ status: Status.SERVING });
    await expect(health.check({ service: "muster.v1.AgentService" })).rejects.toMatchObject({
      code: codes.NOT_FOUND,
    });
    for await (const { status } of health.watch({ service: "no.such.Service" })) {
      expect(status).toBe(Status.SERVICE_UNKNOWN);
      break;
    }
  });

  it("tells those who watch it when the daemon becomes ready and when it stops", async () => {
    const readiness = new Readiness();
    const { watch } = healthService(readiness, ["a.B"]);
    const end = new AbortController();
    const context = { signal: end.signal, peer: "", commonName: "", certificate: new Uint8Array() };
    const seen: unknown[] = [];
    for await (const { status } of watch({ service: "a.B" } as never, context)) {
      seen.push(status);
      if (seen.length === 3) end.abort();
      readiness.serving = !readiness.serving;
    }
    expect(seen).toEqual([Status.NOT_SERVING, Status.SERVING, Status.NOT_SERVING]);
  });
});

describe("reflection", () => {
  it("lists services and hands out the files that a symbol needs", async () => {
    const requests = async function* () {
      yield { messageRequest: { case: "listServices" as const, value: "" } };
      yield {
        messageRequest: { case: "fileContainingSymbol" as const, value: "muster.v1.NodeService.ListNodes" },
      };
      yield { messageRequest: { case: "fileByFilename" as const, value: "muster/v1/watch.proto" } };
      yield { messageRequest: { case: "fileContainingSymbol" as const, value: "muster.v1.Nothing" } };
    };
    const answers = [];
    for await (const { messageResponse } of connection
      .client(ServerReflection)
      .serverReflectionInfo(requests()))
      answers.push(messageResponse);
    const [services, byMethod, byName, unknown] = answers;
    expect(services?.case === "listServicesResponse" && services.value.service).toHaveLength(11);
    for (const answer of [byMethod, byName]) {
      const files = answer?.case === "fileDescriptorResponse" ? answer.value.fileDescriptorProto : [];
      expect(files.length).toBeGreaterThan(3);
    }
    expect(unknown).toMatchObject({ case: "errorResponse", value: { errorCode: codes.NOT_FOUND } });
  });

  it("is off unless it is asked for", async () => {
    await using plain = await startTestDaemon();
    using own = open(plain);
    const call = async () => {
      for await (const _ of own.client(ServerReflection).serverReflectionInfo((async function* () {})()))
        return;
    };
    await expect(call()).rejects.toMatchObject({ code: codes.UNIMPLEMENTED });
  });
});

describe("the daemon", () => {
  it("says what it is, explains, examines itself and backs itself up", async () => {
    const { daemon: self } = daemon.muster;
    const facts = await self.getDaemon({});
    expect(facts).toMatchObject({ version: expect.stringMatching(/^\d/), stateDir: daemon.stateDir });
    expect(facts.agentAddress).toMatch(/^127\.0\.0\.1:[1-9]/);
    expect(await self.explain({ name: "n1" })).toMatchObject({ subject: "node/n1", state: "available" });
    await expect(self.explain({ name: "n77" })).rejects.toMatchObject({ code: codes.NOT_FOUND });
    const found = [];
    for await (const { check, message } of self.examine({ checks: ["ports"] }))
      found.push({ check, message });
    expect(found).toHaveLength(6);
    expect(found.every(({ message }) => message.endsWith("answers"))).toBe(true);
    const unknown = async () => {
      for await (const _ of self.examine({ checks: ["port"] })) return;
    };
    await expect(unknown()).rejects.toMatchObject({
      reason: "UNKNOWN_CHECK",
      fields: [{ field: "checks[0]" }],
    });
    let bytes = 0;
    for await (const { content } of self.backup({})) bytes += content.length;
    expect(bytes).toBeGreaterThan(1000);
  });
});
