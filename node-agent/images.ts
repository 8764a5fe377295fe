// What the daemon says of images. A daemon that restarts does not fail a running image step: it is asked again.
import { setTimeout as delay } from "node:timers/promises";
import type { AgentService } from "../proto/gen/muster/v1/agent_pb.ts";
import type { ServiceClient } from "../proto/rpc/client.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { Backoff } from "./backoff.ts";
import type { ImageSource } from "./step.ts";

type ImageClient = Pick<ServiceClient<typeof AgentService>, "locateImage" | "reportSource">;

/** How long the daemon may be away before the step fails. */
const patienceMs = 2 * 60_000;
/** What the daemon takes of a fault. */
const faultLimit = 2048;

export function remoteImages(client: ImageClient, patience = patienceMs): ImageSource {
  return {
    async locate(digest, delivery, signal) {
      const giveUpAt = performance.now() + patience;
      const backoff = new Backoff();
      while (true) {
        try {
          return await client.locateImage({ digest, delivery }, { signal });
        } catch (error) {
          signal.throwIfAborted();
          if (!passes(error) || performance.now() > giveUpAt) throw error;
          await delay(backoff.next(), undefined, { signal });
        }
      }
    },

    async report(digest, { kind, mirror }, fault) {
      await client.reportSource({ kind, mirror, digest, fault: fault.slice(0, faultLimit) });
    },
  };
}

function passes(error: unknown): boolean {
  return (
    error instanceof RpcError && (error.code === codes.UNAVAILABLE || error.code === codes.DEADLINE_EXCEEDED)
  );
}
