// EnrollService.
import { timingSafeEqual } from "node:crypto";
import type { EnrollService } from "../../proto/gen/muster/v1/agent_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { join } from "../domain/join.ts";
import { type ApiContext, invalidField } from "./context.ts";

const retrySeconds = 2n;

type EnrollContext = Pick<ApiContext, "engine"> & {
  ca: Pick<ApiContext["ca"], "joinToken" | "keyDigest" | "signNode">;
};

export function enrollService({ engine, ca }: EnrollContext): Handlers<typeof EnrollService> {
  return {
    enroll: async ({ joinToken, csr, fingerprint, inventory }) => {
      if (!sameToken(joinToken, ca.joinToken)) {
        throw new RpcError(codes.UNAUTHENTICATED, "the join token is not valid: boot the current ramdisk", {
          reason: "JOIN_TOKEN",
        });
      }
      if (!fingerprint) throw invalidField("INVALID_REQUEST", "fingerprint", "is missing");
      const keyDigest = await ca.keyDigest(csr).catch(badRequest);
      const answer = await engine.decide((decision) => join(decision, { fingerprint, inventory, keyDigest }));
      switch (answer.outcome) {
        case "sign": {
          const { certificate } = await ca.signNode(csr, answer.node).catch(badRequest);
          return { outcome: { case: "enrolled", value: { node: answer.node, certificate } } };
        }
        case "wait": {
          const retryDelay = { seconds: retrySeconds };
          const value = { node: answer.node, approvalCode: answer.code, retryDelay };
          return { outcome: { case: "pending", value } };
        }
        case "conflict": {
          const message = `${answer.node} is known under another key and in use; if this is that machine, an operator must let it join anew`;
          throw new RpcError(codes.ALREADY_EXISTS, message, { reason: "KEY_CONFLICT" });
        }
      }
    },
  };
}

function badRequest(cause: unknown): never {
  const message = cause instanceof Error ? cause.message : String(cause);
  throw new RpcError(codes.INVALID_ARGUMENT, message, { reason: "CSR", cause });
}

function sameToken(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
