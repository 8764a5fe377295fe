import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { GetSecretResponseSchema } from "../proto/gen/muster/v1/agent_pb.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { remoteSecrets } from "./secrets.ts";

const { signal } = new AbortController();
const gone = new RpcError(codes.UNAVAILABLE, "the daemon goes away");

/** Fails with the given error, `failures` times. */
function flakyDaemon(error: RpcError, failures: number) {
  const asked: string[] = [];
  return {
    asked,
    async getSecret({ token = "", name = "" }: { token?: string; name?: string }) {
      asked.push(`${token} ${name}`);
      if (failures-- > 0) throw error;
      return create(GetSecretResponseSchema, { content: Buffer.from(`content of ${name}`) });
    },
  };
}

it("asks for the attempt that needs it, once, also when the daemon was away", async () => {
  const daemon = flakyDaemon(gone, 1);
  const secrets = remoteSecrets(daemon)("demo-1/n1/partition/1");
  for (const _again of [1, 2]) {
    expect(Buffer.from(await secrets("disk-key", signal)).toString()).toBe("content of disk-key");
  }
  const asked = "demo-1/n1/partition/1 disk-key";
  expect(daemon.asked).toEqual([asked, asked]);
  await secrets("other", signal);
  expect(daemon.asked.slice(2)).toEqual(["demo-1/n1/partition/1 other"]);
});

it("asks anew for the next attempt, as the secret may be another by then", async () => {
  const daemon = flakyDaemon(gone, 0);
  const secrets = remoteSecrets(daemon);
  for (const token of ["a/1", "a/2"]) await secrets(token)("disk-key", signal);
  expect(daemon.asked).toEqual(["a/1 disk-key", "a/2 disk-key"]);
});

it("gives up on a refusal, and when the daemon stays away", async () => {
  const denied = new RpcError(codes.PERMISSION_DENIED, "no attempt a/1 runs on n1");
  await expect(remoteSecrets(flakyDaemon(denied, 1))("a/1")("disk-key", signal)).rejects.toBe(denied);
  await expect(remoteSecrets(flakyDaemon(gone, 9), -1)("a/1")("disk-key", signal)).rejects.toBe(gone);
});

it("stops waiting when the step is cancelled", async () => {
  const cancelled = new AbortController();
  const asking = remoteSecrets(flakyDaemon(gone, 99))("a/1")("disk-key", cancelled.signal);
  cancelled.abort(new Error("cancelled"));
  await expect(asking).rejects.toThrow(/cancelled|aborted/);
});
