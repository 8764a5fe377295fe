// The agent as an ordinary process against a daemon that is real to it: TLS, a CA, an operator who approves.
import "reflect-metadata";
import { type ChildProcess, spawn } from "node:child_process";
import { webcrypto } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import * as x509 from "@peculiar/x509";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { EnrollService, StepResult_Outcome } from "../proto/gen/muster/v1/agent_pb.ts";
import { Environment } from "../proto/gen/muster/v1/node_pb.ts";
import { serve } from "../proto/rpc/server.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { FakeDaemon } from "./fake-daemon.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const newKeys = () => webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);

async function createAuthority() {
  const keys = await newKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=test CA",
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true)],
  });
  const sign = (publicKey: x509.PublicKeyType, subject: string, extensions: x509.Extension[] = []) =>
    x509.X509CertificateGenerator.create({
      subject,
      issuer: root.subject,
      publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions,
    });
  const serverKeys = await newKeys();
  const addresses = new x509.SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }]);
  const certificate = await sign(serverKeys.publicKey, "CN=daemon", [addresses]);
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", serverKeys.privateKey);
  const pair = {
    private_key: Buffer.from(x509.PemConverter.encode(pkcs8, "PRIVATE KEY")),
    cert_chain: Buffer.from(certificate.toString("pem")),
  };
  return { caPem: root.toString("pem"), sign, pair };
}

let root: string;
let agent: ChildProcess;
let output: string;
let requests: string[];
let isApproved: boolean;
let daemon: FakeDaemon;
const servers: Server[] = [];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "agent-"));
  requests = [];
  isApproved = false;
  daemon = new FakeDaemon();
  const { caPem, sign, pair } = await createAuthority();
  const ca = Buffer.from(caPem);
  const enrollServer = new Server();
  serve(enrollServer, EnrollService, {
    enroll: async ({ csr, joinToken, fingerprint, inventory }) => {
      if (joinToken !== "token") throw new RpcError(codes.UNAUTHENTICATED, "the join token has expired");
      expect(inventory?.disks.length).toBeGreaterThan(0);
      expect(fingerprint).toBeDefined();
      const request = new x509.Pkcs10CertificateRequest(csr);
      expect(await request.verify()).toBe(true);
      requests.push(csr);
      const pending = { node: "n-1", approvalCode: "K7QX", retryDelay: durationFromMs(100) };
      if (!isApproved) return { outcome: { case: "pending", value: pending } };
      const certificate = (await sign(request.publicKey, "CN=n1")).toString("pem");
      return { outcome: { case: "enrolled", value: { node: "n1", certificate } } };
    },
  });
  const enrollAddress = await new Promise<string>((resolve, reject) =>
    enrollServer.bindAsync("127.0.0.1:0", ServerCredentials.createSsl(null, [pair]), (error, port) =>
      error ? reject(error) : resolve(`127.0.0.1:${port}`),
    ),
  );
  const agentServer = new Server();
  const agentAddress = await daemon.listen(agentServer, ServerCredentials.createSsl(ca, [pair], true));
  servers.push(enrollServer, agentServer);
  mkdirSync(join(root, "etc/muster"), { recursive: true });
  writeFileSync(join(root, "etc/muster/bootstrap"), "");
  const bundle = { enrollAddress, agentAddress, caCertificate: caPem, joinToken: "token", imageKey: "" };
  writeFileSync(join(root, "etc/muster/join.json"), JSON.stringify(bundle));
});

afterEach(async () => {
  if (agent.exitCode === null) {
    agent.kill("SIGKILL");
    await once(agent, "exit");
  }
  for (const server of servers.splice(0)) server.forceShutdown();
  rmSync(root, { recursive: true });
});

function startAgent() {
  output = "";
  agent = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), "--root", root, "--include-loop"]);
  agent.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  agent.stderr?.on("data", (chunk) => {
    output += chunk;
  });
}

// Two processes start, on a machine that may be busy with other tests.
const eventually = (check: () => void) => vi.waitFor(check, { timeout: 30_000, interval: 50 });

async function stopAgent(): Promise<number | null> {
  const exit = once(agent, "exit");
  agent.kill("SIGTERM");
  return (await exit)[0];
}

it("joins when it is approved, does a step, ends on SIGTERM, and comes back with its certificate", {
  timeout: 120_000,
}, async () => {
  startAgent();
  await eventually(() => expect(requests.length).toBeGreaterThan(1));
  expect(output).toContain("Approval code:  K7QX");
  expect(output).toContain("approve with: muster approve n-1");
  expect(output.split("K7QX")).toHaveLength(2);
  isApproved = true;
  await eventually(() => expect(daemon.hellos).toHaveLength(1));
  expect(
    new Set(requests.map((csr) => new x509.Pkcs10CertificateRequest(csr).publicKey.toString())).size,
  ).toBe(1);
  expect(daemon.commonName).toBe("n1");
  expect(daemon.hellos[0]).toMatchObject({ environment: Environment.BOOTSTRAP, address: "127.0.0.1" });
  expect(daemon.hellos[0]?.bootId).toMatch(/^[0-9a-f-]{36}$/);
  expect(statSync(join(root, "run/muster/agent/key.pem")).mode & 0o777).toBe(0o600);

  daemon.assign("t1", "echo from the step");
  await eventually(() => expect(daemon.results[0]?.outcome).toBe(StepResult_Outcome.SUCCEEDED));
  expect(daemon.logs.get("t1")).toContain("\nfrom the step\n");

  const pidFile = join(root, "pid");
  daemon.assign("t2", `echo $$ > ${pidFile}; sleep 60`);
  await eventually(() => expect(readFileSync(pidFile, "utf8")).toMatch(/\d\n/));
  expect(await stopAgent()).toBe(0);

  const asked = requests.length;
  startAgent();
  await eventually(() => expect(daemon.hellos).toHaveLength(2));
  expect(requests).toHaveLength(asked);
  expect(daemon.hellos[1]?.finished).toMatchObject([{ token: "t2", outcome: StepResult_Outcome.FAILED }]);
  expect(await stopAgent()).toBe(0);
});

it("joins anew in the ramdisk when the daemon does not know it any more", { timeout: 90_000 }, async () => {
  isApproved = true;
  startAgent();
  await eventually(() => expect(daemon.hellos).toHaveLength(1));
  const before = requests.length;
  daemon.refusal = new RpcError(codes.UNAUTHENTICATED, "n1 is not a node here", { reason: "NOT_JOINED" });
  daemon.cutSession();
  await vi.waitFor(() => expect(requests.length).toBeGreaterThan(before), { timeout: 30_000 });
  daemon.refusal = undefined;
  await vi.waitFor(() => expect(daemon.hellos).toHaveLength(2), { timeout: 30_000 });
  expect(output).toContain("refuses this node's certificate: n1 is not a node here");
  expect(await stopAgent()).toBe(0);
});

it("says on the console why it may not ask to join, and ends on SIGTERM all the same", {
  timeout: 60_000,
}, async () => {
  const file = join(root, "etc/muster/join.json");
  writeFileSync(file, readFileSync(file, "utf8").replace('"joinToken":"token"', '"joinToken":"old"'));
  startAgent();
  await eventually(() => expect(output).toContain("the join token has expired; boot again"));
  expect(await stopAgent()).toBe(0);
});

it("does not trust a daemon whose certificate is for another address", { timeout: 60_000 }, async () => {
  const file = join(root, "etc/muster/join.json");
  writeFileSync(file, readFileSync(file, "utf8").replaceAll('"127.0.0.1:', '"localhost:'));
  startAgent();
  await eventually(() => expect(output).toContain("localhost. is not cert's"));
  expect(requests).toEqual([]);
  expect(await stopAgent()).toBe(0);
});
