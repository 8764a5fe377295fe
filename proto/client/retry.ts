// Unary calls that outlive a daemon's restart. UNAVAILABLE is tried again and nothing else: whatever else went
// wrong would go wrong again, or somebody has to look at it first. Changes get a request id, so that one whose
// answer was lost is answered, not made again.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { CallOptions, ServiceClient } from "../rpc/client.ts";
import { codes, RpcError } from "../rpc/status.ts";

const defaultTimeoutMs = 10_000;
/** Reading an image takes as long as its disk needs. */
const imageTimeoutMs = 3_600_000;
const waitTimeoutMs = 60_000;
const pauseMs = { first: 100, longest: 2_000 };

type Request = { requestId?: string; timeout?: { seconds?: bigint } };
type Call = (request: object, options?: CallOptions) => Promise<object>;

export function retrying<S extends DescService>(service: S, client: ServiceClient<S>): ServiceClient<S> {
  const calls: Record<string, unknown> = { ...client };
  for (const method of service.methods) {
    if (method.methodKind !== "unary") continue;
    const call = calls[method.localName] as Call;
    calls[method.localName] = (request: Request, options: CallOptions = {}) =>
      untilAnswered(call, identified(method, request), {
        ...options,
        timeoutMs: options.timeoutMs ?? timeoutOf(method, request),
      });
  }
  return calls as ServiceClient<S>;
}

function identified(method: DescMethod, request: Request): Request {
  if (!method.input.field.requestId || request.requestId) return request;
  return { ...request, requestId: randomUUID() };
}

function timeoutOf({ name }: DescMethod, { timeout }: Request): number {
  if (["RegisterImage", "VerifyImage", "RepairImage"].includes(name)) return imageTimeoutMs;
  if (name !== "WaitDeployment") return defaultTimeoutMs;
  return defaultTimeoutMs + (timeout ? Number(timeout.seconds ?? 0n) * 1000 : waitTimeoutMs);
}

async function untilAnswered(
  call: Call,
  request: object,
  options: CallOptions & { timeoutMs: number },
): Promise<object> {
  const end = Date.now() + options.timeoutMs;
  for (let pause = pauseMs.first; ; pause = Math.min(2 * pause, pauseMs.longest)) {
    try {
      return await call(request, { ...options, timeoutMs: end - Date.now() });
    } catch (error) {
      const waitMs = pause * (0.5 + Math.random() / 2);
      const again = RpcError.from(error).code === codes.UNAVAILABLE && Date.now() + waitMs < end;
      if (!again || options.signal?.aborted) throw error;
      await sleep(waitMs, undefined, { signal: options.signal }).catch(() => {
        throw error;
      });
    }
  }
}
