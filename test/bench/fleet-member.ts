// One process of the fleet: a share of the agents, as the daemon's or as the peer's.
import { generateKeyPairSync } from "node:crypto";
import { credentials } from "@grpc/grpc-js";
import { certificateRequest } from "../../node-agent/identity.ts";
import { EnrollService } from "../../proto/gen/muster/v1/agent_pb.ts";
import { Connection } from "../../proto/rpc/client.ts";
import { answer } from "./children.ts";
import { FakeAgent } from "./fake-agent.ts";
import { fingerprintOf, inventoryOf } from "./fixture.ts";
import { RawAgent } from "./raw.ts";
import { RealAgent } from "./real-agent.ts";

type Machine = { index: number; privateKey: string; csr: string; node: string; certificate: string };
export type EnrollRequest = { address: string; joinToken: string; caPem: string };
export type OpenRequest = { kind: "muster" | "raw"; address: string; caPem: string; spreadMs: number };
export type StartRequest = { address: string; caPem: string; directory: string };
export type FleetStatus = { open: number; back: number };

/** Calls that one process has under way while its machines join. */
const enrolling = 16;
const beatSlices = 200;

const machines: Machine[] = [];
let agents: (FakeAgent | RawAgent)[] = [];
let real: RealAgent[] = [];
let welcomes: number[] = [];
let beating: NodeJS.Timeout | undefined;

async function make({ first, count }: { first: number; count: number }): Promise<void> {
  for (let index = first; index < first + count; index++) {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
    machines.push({
      index,
      privateKey: pem,
      csr: await certificateRequest(pem),
      node: "",
      certificate: "",
    });
  }
}

/** Each machine asks once. Says the names of those that may not join yet. */
async function enroll({ address, joinToken, caPem }: EnrollRequest): Promise<string[]> {
  using connection = new Connection(address, credentials.createSsl(Buffer.from(caPem)));
  const service = connection.client(EnrollService);
  const queue = machines.filter(({ certificate }) => !certificate);
  const waiting: string[] = [];
  const work = async () => {
    for (let machine = queue.pop(); machine; machine = queue.pop()) {
      const { index, csr } = machine;
      const request = { joinToken, csr, fingerprint: fingerprintOf(index), inventory: inventoryOf(index) };
      const { outcome } = await service.enroll(request, { timeoutMs: 60_000 });
      if (outcome.case === "enrolled") Object.assign(machine, outcome.value);
      else if (outcome.case === "pending") waiting.push(outcome.value.node);
    }
  };
  await Promise.all(Array.from({ length: enrolling }, work));
  return waiting;
}

function open({ kind, address, caPem, spreadMs }: OpenRequest): void {
  agents = machines.map(({ index, privateKey, certificate }) => {
    const identity = { privateKey, certificate, caPem };
    return kind === "muster" ? new FakeAgent(index, address, identity) : new RawAgent(address, identity);
  });
  mark();
  for (const { link } of agents) link.open(Math.random() * spreadMs);
}

/** From now on it counts who comes back. */
function mark(): void {
  welcomes = agents.map(({ link }) => link.welcomes);
}

function status(): FleetStatus {
  return {
    open: agents.filter(({ link }) => link.welcome).length,
    back: agents.filter(({ link }, i) => link.welcome && link.welcomes > (welcomes[i] ?? 0)).length,
  };
}

/** Heartbeats are spread over the interval, as those of agents that came one by one. */
function beat(everyMs: number): void {
  clearInterval(beating);
  if (everyMs === 0) return;
  let slice = 0;
  beating = setInterval(() => {
    for (let i = slice; i < agents.length; i += beatSlices) {
      if (agents[i]?.link.welcome) agents[i]?.heartbeat();
    }
    slice = (slice + 1) % beatSlices;
  }, everyMs / beatSlices);
}

/** How many agents have had `steps` results of a deployment acknowledged. */
function acknowledged({ deployment, steps }: { deployment: string; steps: number }): number {
  return agents.filter((agent) => agent instanceof FakeAgent && agent.acknowledged(deployment) === steps)
    .length;
}

/** The machines run the program that nodes run, from their installed systems. */
function start({ address, caPem, directory }: StartRequest): void {
  real = machines.map(({ index, privateKey, certificate }) => {
    return new RealAgent(index, address, { privateKey, certificate, caPem }, directory);
  });
}

async function close(): Promise<void> {
  for (const { link } of agents) link.close();
  agents = [];
  await Promise.all(real.map((agent) => agent.close()));
  real = [];
}

answer({
  make,
  enroll,
  names: () => machines.map(({ node }) => node),
  open,
  start,
  mark,
  status,
  beat,
  acknowledged,
  close,
});
