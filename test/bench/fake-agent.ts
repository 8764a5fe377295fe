// An agent that does every step at once, and otherwise keeps to the protocol of the real one: hello with what it
// has finished, results until they are acknowledged, no token twice, and a new boot after a reboot.
import { randomUUID } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  AgentService,
  type Assign,
  type SessionRequestSchema,
  type SessionResponse,
  type StepResult,
  StepResult_Outcome,
  StepResultSchema,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import { Environment } from "../../proto/gen/muster/v1/node_pb.ts";
import type { RebootStep } from "../../proto/gen/muster/v1/step_pb.ts";
import { methodDefinition } from "../../proto/rpc/wire.ts";
import { addressOf, fingerprintOf, inventoryOf } from "./fixture.ts";
import { type Identity, Link } from "./link.ts";

const { path, requestSerialize, responseDeserialize } = methodDefinition(AgentService.method.session);
/** Machines that reboot do not all come back in the same moment. */
const rebootMs = 2_000;

type Request = MessageInitShape<typeof SessionRequestSchema>;

export class FakeAgent {
  readonly link: Link<SessionResponse, Request>;
  readonly #index: number;
  /** Every token that it was ever given, and its outcome. */
  readonly #outcomes = new Map<string, StepResult>();
  readonly #unacknowledged = new Set<string>();
  readonly #acknowledged = new Map<string, number>();
  #highestFence = 0n;
  #bootId = randomUUID();
  #installed: RebootStep | undefined;
  #reboot: { token: string; into: RebootStep } | undefined;

  constructor(index: number, address: string, identity: Identity) {
    this.#index = index;
    this.link = new Link<SessionResponse, Request>(address, identity, {
      path,
      encode: requestSerialize as (message: Request) => Buffer,
      decode: responseDeserialize as unknown as (bytes: Buffer) => SessionResponse,
      first: () => this.#first(),
      receive: (response) => this.#receive(response),
    });
  }

  /** How many of its steps of a deployment the daemon has acknowledged. */
  acknowledged(deployment: string): number {
    return this.#acknowledged.get(deployment) ?? 0;
  }

  heartbeat(): void {
    this.link.send({ message: { case: "heartbeat", value: {} } });
  }

  #first(): Request[] {
    const installed = this.#installed;
    const hello: Request["message"] = {
      case: "hello",
      value: {
        environment: installed ? Environment.INSTALLED : Environment.BOOTSTRAP,
        bootId: this.#bootId,
        agentVersion: "bench",
        fingerprint: fingerprintOf(this.#index),
        finished: [...this.#unacknowledged].flatMap((token) => this.#outcomes.get(token) ?? []),
        installed: installed && { ...pick(installed), bootId: this.#bootId },
        address: addressOf(this.#index),
        highestFence: this.#highestFence,
        clock: timestampFromMs(Date.now()),
      },
    };
    return [{ message: hello }, { message: { case: "inventory", value: inventoryOf(this.#index) } }];
  }

  #receive({ message }: SessionResponse): boolean {
    switch (message.case) {
      case "welcome":
        return true;
      case "assign":
        this.#assign(message.value);
        break;
      case "cancel":
        this.#answer(message.value.token, 0n, StepResult_Outcome.CANCELLED);
        break;
      case "resultAck":
        this.#forget(message.value.token);
    }
    return false;
  }

  #assign({ token, fence, action }: Assign): void {
    if (!this.#outcomes.has(token) && fence < this.#highestFence) {
      throw new Error(`${token} came with fence ${fence} after ${this.#highestFence}`);
    }
    if (fence > this.#highestFence) this.#highestFence = fence;
    if (action?.kind.case === "reboot") this.#reboot = { token, into: action.kind.value };
    this.#answer(token, fence, StepResult_Outcome.SUCCEEDED);
  }

  #answer(token: string, fence: bigint, outcome: StepResult_Outcome): void {
    const known = this.#outcomes.get(token);
    const value = known ?? create(StepResultSchema, { token, fence, outcome, result: "done" });
    if (!known) {
      this.#outcomes.set(token, value);
      this.#unacknowledged.add(token);
    }
    this.link.send({ message: { case: "result", value } });
  }

  #forget(token: string): void {
    if (!this.#unacknowledged.delete(token)) return;
    const deployment = token.slice(0, token.indexOf("/"));
    this.#acknowledged.set(deployment, this.acknowledged(deployment) + 1);
    if (this.#reboot?.token !== token) return;
    this.#installed = this.#reboot.into;
    this.#reboot = undefined;
    this.#bootId = randomUUID();
    this.link.close();
    this.link.open(Math.random() * rebootMs);
  }
}

const pick = ({ hostname, rootDevice, imageDigest }: RebootStep) => ({ hostname, rootDevice, imageDigest });
