// Every change that an operator asks for goes through here: one decision, and with a request id its answer is
// stored together with its effect, so that the same request asked again is answered and not done again.
import { createHash } from "node:crypto";
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { RequestRecordSchema } from "../../proto/gen/muster/v1/record_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Decision } from "../domain/decision.ts";
import type { State } from "../domain/state.ts";
import type { Engine } from "../engine/engine.ts";

/** Answers that are remembered at most; the oldest are forgotten first. */
const recordLimit = 10_000;

type Asked = { requestId: string; validateOnly?: boolean };
type Known = { id: string; method: string; digest: Buffer };
type Answer<M> = M extends DescMethodUnary<DescMessage, infer O extends DescMessage> ? O : never;
type Question<M> = M extends DescMethodUnary<infer I extends DescMessage, DescMessage> ? I : never;

export class Mutations {
  readonly #engine: Engine;
  /** Requests that are being carried out: one that is sent again meanwhile waits for the first. */
  readonly #running = new Map<string, { known: Known; answer: Promise<unknown> }>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Carries a decision out. It refuses by throwing before it has changed anything. */
  decide<M extends DescMethodUnary>(
    method: M,
    request: MessageShape<Question<M>> & Asked,
    decide: (decision: Decision) => MessageInitShape<Answer<M>>,
  ): Promise<MessageInitShape<Answer<M>>> {
    return this.perform(method, request, async () => decide);
  }

  /** As decide(), for what must be done before it can be decided on, such as switching a machine on. */
  async perform<M extends DescMethodUnary>(
    method: M,
    request: MessageShape<Question<M>> & Asked,
    work: () => Promise<(decision: Decision) => MessageInitShape<Answer<M>>>,
  ): Promise<MessageInitShape<Answer<M>>> {
    const output = method.output as Answer<M>;
    // A check is not a request that could be carried out twice.
    if (!request.requestId || request.validateOnly) return this.#engine.decide(await work());
    const known = describe(method, request);
    const running = this.#running.get(known.id);
    if (running) {
      refuseOther(known, running.known);
      return (await running.answer) as MessageInitShape<Answer<M>>;
    }
    const answer = this.#once(known, output, work);
    this.#running.set(known.id, { known, answer });
    try {
      return await answer;
    } finally {
      this.#running.delete(known.id);
    }
  }

  async #once<O extends DescMessage>(
    known: Known,
    output: O,
    work: () => Promise<(decision: Decision) => MessageInitShape<O>>,
  ): Promise<MessageInitShape<O>> {
    const { id, method, digest } = known;
    const recorded = recall(this.#engine.state, known, output);
    if (recorded) return recorded as MessageInitShape<O>;
    const decide = await work();
    return this.#engine.decide((decision) => {
      const answer = decide(decision);
      numberChanges(decision);
      const response = toBinary(output, create(output, answer));
      for (const oldest of [...decision.state.requests.keys()].slice(0, surplus(decision.state)))
        decision.change({ forgetRequest: oldest });
      const value = { requestId: id, method, digest, response, time: decision.now };
      decision.change({ request: create(RequestRecordSchema, value) });
      return answer;
    });
  }
}

function surplus({ requests }: State): number {
  return Math.max(0, requests.size + 1 - recordLimit);
}

function describe(method: DescMethodUnary, request: MessageShape<DescMessage> & Asked): Known {
  return {
    id: request.requestId,
    method: `/${method.parent.typeName}/${method.name}`,
    digest: createHash("sha256").update(toBinary(method.input, request)).digest(),
  };
}

/** The answer that was given before, if this was asked before. */
function recall<O extends DescMessage>(state: State, known: Known, output: O): MessageShape<O> | undefined {
  const record = state.requests.get(known.id);
  if (!record) return undefined;
  refuseOther(known, { ...record, id: record.requestId, digest: Buffer.from(record.digest) });
  return fromBinary(output, record.response);
}

function refuseOther(asked: Known, before: Known): void {
  if (asked.method === before.method && asked.digest.equals(before.digest)) return;
  const message = `request id ${asked.id} was used for another request: make a new one for every request`;
  throw new RpcError(codes.INVALID_ARGUMENT, message, {
    reason: "REQUEST_ID_REUSED",
    metadata: { method: before.method },
  });
}

/** What is answered, or copied into an answer, carries the revision that it is about to be stored as. */
export function numberChanges({ changes, revision }: Decision): void {
  for (const change of changes) {
    const value = "put" in change ? change.put.kind.value : undefined;
    if (!value || value.$typeName === "muster.v1.Event") continue;
    value.revision = revision;
    if ("etag" in value) value.etag = `${revision}`;
  }
}
