import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StepLogs } from "./step-logs.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-logs-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const bytes = (text: string) => new TextEncoder().encode(text);

async function textOf(logs: StepLogs, token: string): Promise<string> {
  const end = { follow: false, ended: () => true, signal: new AbortController().signal };
  let text = "";
  for await (const { content } of logs.read(token, 0n, end)) text += new TextDecoder().decode(content);
  return text;
}

describe("the log of an attempt", () => {
  it("has what is sent twice once, and a gap where something was dropped", async () => {
    const logs = new StepLogs(directory);
    const token = "demo-1/n1/image/2";
    expect(await logs.append(token, 0n, bytes("one\n"))).toBe(4n);
    expect(await logs.append(token, 0n, bytes("one\n"))).toBe(4n);
    expect(await logs.append(token, 2n, bytes("e\ntwo\n"))).toBe(8n);
    expect(await logs.append(token, 10n, bytes("three\n"))).toBe(16n);
    expect(await textOf(logs, token)).toBe("one\ntwo\n\n\nthree\n");
    expect(await textOf(logs, "demo-1/n1/image/1")).toBe("");
  });

  it("goes with its deployment, and with no other", async () => {
    const logs = new StepLogs(directory);
    await logs.append("demo-1/n1/image/1", 0n, bytes("one\n"));
    await logs.append("demo-10/n1/image/1", 0n, bytes("ten\n"));
    await logs.remove("demo-1");
    await logs.remove("demo-2");
    expect(await textOf(logs, "demo-1/n1/image/1")).toBe("");
    expect(await textOf(logs, "demo-10/n1/image/1")).toBe("ten\n");
    await expect(logs.remove("../demo-10")).rejects.toThrow(/no deployment/);
  });

  it("refuses an offset that no agent can have come to", async () => {
    const logs = new StepLogs(directory);
    const token = "demo-1/n1/image/1";
    for (const offset of [1n << 40n, 2n ** 64n - 1n])
      await expect(logs.append(token, offset, bytes("x"))).rejects.toThrow(/cannot go on at/);
    expect(await logs.append(token, 0n, bytes("x"))).toBe(1n);
  });
});
