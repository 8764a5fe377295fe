// The daemon and an agent as processes, over their real sockets and certificates.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { gunzipSync } from "node:zlib";
import { credentials } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EnrollService } from "../proto/gen/muster/v1/agent_pb.ts";
import { ClusterService } from "../proto/gen/muster/v1/cluster_pb.ts";
import { Node_State, NodeService } from "../proto/gen/muster/v1/node_pb.ts";
import { WatchService } from "../proto/gen/muster/v1/watch_pb.ts";
import { Connection } from "../proto/rpc/client.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";

const root = new URL("..", import.meta.url).pathname;
const children: ChildProcess[] = [];
let stateDir: string;

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "muster-daemon-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) await end(child, "SIGKILL");
  await rm(stateDir, { recursive: true, force: true });
});

type Started = { child: ChildProcess; lines: string[]; says(pattern: RegExp): Promise<string> };

/** Runs a room's main; `says` waits for a line of its output. */
function start(main: string, ...args: string[]): Started {
  const child = spawn(process.execPath, [join(root, main), ...args], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      for (const listener of listeners) listener();
    });
  }
  const says = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const line = lines.find((text) => pattern.test(text));
        if (line !== undefined) finish(() => resolve(line));
      };
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        listeners.delete(look);
        settle();
      };
      const fail = () => finish(() => reject(new Error(`no ${pattern} in:\n${lines.join("\n")}`)));
      const timer = setTimeout(fail, 15_000);
      child.once("close", fail);
      listeners.add(look);
      look();
    });
  return { child, lines, says };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill(signal);
    await once(child, "exit");
  }
  return child.exitCode;
}

async function startDaemon(): Promise<Started> {
  const ports = [
    "--http-port",
    "0",
    "--enroll-port",
    "0",
    "--agent-port",
    "0",
    "--delivery-port",
    "0",
    "--delivery-http-port",
    "0",
  ];
  const daemon = start("daemon/main.ts", "--state-dir", stateDir, ...ports);
  await daemon.says(/muster daemon is ready/);
  return daemon;
}

function operator(): Connection {
  return new Connection(`unix:${join(stateDir, "muster.sock")}`, credentials.createInsecure());
}

/** What the ramdisk would have: the bundle that the boot server hands out. */
async function joinBundle(daemon: Started): Promise<string> {
  const base = /"http":"([^"]+)"/.exec(await daemon.says(/the daemon is ready/))?.[1];
  const image = gunzipSync(await (await fetch(`${base}/join.img`)).arrayBuffer()).toString("latin1");
  return /\{"enrollAddress".*?\}(?=\0|$|0707)/s.exec(image)?.[0] ?? "";
}

describe("muster daemon", () => {
  it("starts without configuration, keeps its socket private and stops cleanly", async () => {
    const daemon = await startDaemon();
    using connection = operator();
    expect(await connection.client(NodeService).listNodes({})).toMatchObject({ nodes: [] });
    expect((await stat(join(stateDir, "muster.sock"))).mode & 0o777).toBe(0o600);
    expect(await end(daemon.child, "SIGTERM")).toBe(0);
    await expect(stat(join(stateDir, "muster.sock"))).rejects.toThrow();
  });

  it("refuses a second daemon on the same state directory, and the first goes on", async () => {
    await startDaemon();
    const second = start("daemon/main.ts", "--state-dir", stateDir, "--http-port", "0");
    await second.says(/is in use by another muster daemon/);
    await once(second.child, "exit");
    expect(second.child.exitCode).toBe(10);
    using connection = operator();
    expect(await connection.client(NodeService).listNodes({})).toMatchObject({ nodes: [] });
  });

  it("ends with the reason when a port is taken, and leaves nothing behind", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const daemon = start(
      "daemon/main.ts",
      ...[
        "--state-dir",
        stateDir,
        "--http-port",
        "0",
        "--enroll-port",
        `${port}`,
        "--agent-port",
        "0",
        "--delivery-port",
        "0",
        "--delivery-http-port",
        "0",
      ],
    );
    await daemon.says(/cannot listen on 127\.0\.0\.1:\d+: the port is taken/);
    if (daemon.child.exitCode === null) await once(daemon.child, "exit");
    expect(daemon.child.exitCode).toBe(1);
    await expect(stat(join(stateDir, "muster.sock"))).rejects.toThrow();
    taken.close();
  });

  it("exits with 2 for options that it does not know", async () => {
    const daemon = start("daemon/main.ts", "--state-directory", stateDir);
    await daemon.says(/unknown option/);
    if (daemon.child.exitCode === null) await once(daemon.child, "exit");
    expect(daemon.child.exitCode).toBe(2);
  });

  it("refuses bad manifests with their place and stores nothing", async () => {
    await startDaemon();
    using connection = operator();
    const clusters = connection.client(ClusterService);
    const content =
      "kind: Node\nname: n1\nmacs: ['52:54:00:00:00:01']\n---\nkind: Cluster\nname: demo\nnods: []\n";
    const error = await clusters.apply({ files: [{ path: "a.yaml", content }] }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({ code: codes.INVALID_ARGUMENT, reason: "INVALID_MANIFEST" });
    expect(String(error)).toMatch(/a\.yaml:7:1: nods: .*did you mean `nodes`/);
    expect(await connection.client(NodeService).listNodes({})).toMatchObject({ nodes: [] });
  });

  it("refuses a request that breaks a rule of the protocol, naming the field", async () => {
    await startDaemon();
    using connection = operator();
    await expect(connection.client(NodeService).getNode({ name: "" })).rejects.toMatchObject({
      code: codes.INVALID_ARGUMENT,
      fields: [{ field: "name" }],
    });
  });

  it("lets an agent join only after approval by the code that its console shows", async () => {
    const daemon = await startDaemon();
    const rootDir = join(stateDir, "agent-root");
    await mkdir(join(rootDir, "etc/muster"), { recursive: true });
    await writeFile(join(rootDir, "etc/muster/bootstrap"), "");
    await writeFile(join(rootDir, "etc/muster/join.json"), await joinBundle(daemon));
    const agent = start("node-agent/main.ts", "--root", rootDir);
    const code = /[0-9A-F]{4}-[0-9A-F]{4}/.exec(await agent.says(/[0-9A-F]{4}-[0-9A-F]{4}/))?.[0];

    using connection = operator();
    const nodes = connection.client(NodeService);
    const [waiting] = (await nodes.listNodes({})).nodes;
    expect(waiting).toMatchObject({ state: Node_State.AWAITING_APPROVAL, approvalCode: code });
    const name = waiting?.name ?? "";
    await expect(nodes.approveNode({ name, code: "0000-000X" })).rejects.toMatchObject({
      code: codes.INVALID_ARGUMENT,
      reason: "WRONG_CODE",
    });
    await nodes.approveNode({ name, code });

    for await (const { change } of connection.client(WatchService).watch({})) {
      if (change.case !== "put" || change.value.kind.case !== "node") continue;
      const node = change.value.kind.value;
      if (!node.online || !node.inventory?.memoryBytes) continue;
      expect(node).toMatchObject({
        name,
        state: Node_State.AVAILABLE,
        keyDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      break;
    }
    expect(await end(agent.child, "SIGTERM")).toBe(0);
    for await (const { change } of connection.client(WatchService).watch({})) {
      if (change.case === "put" && change.value.kind.case === "node" && !change.value.kind.value.online)
        break;
    }
  });

  it("does not let a machine ask to join without the token", async () => {
    const daemon = await startDaemon();
    const bundle: { enrollAddress: string; caCertificate: string } = JSON.parse(await joinBundle(daemon));
    const tls = credentials.createSsl(Buffer.from(bundle.caCertificate));
    using connection = new Connection(bundle.enrollAddress, tls);
    const request = { joinToken: "guess", csr: "x", fingerprint: { macs: ["52:54:00:00:00:01"] } };
    await expect(connection.client(EnrollService).enroll(request)).rejects.toMatchObject({
      code: codes.UNAUTHENTICATED,
    });
  });
});
