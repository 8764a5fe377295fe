// Image manifests and chunks from the daemon. A daemon that restarts does not fail a running image step: what
// was not delivered is asked for again.
import type { AgentService } from "../proto/gen/muster/v1/agent_pb.ts";
import type { ServiceClient } from "../proto/rpc/client.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import type { ImageSource } from "./step.ts";
import { patienceMs, Tries } from "./tries.ts";

type ImageClient = Pick<ServiceClient<typeof AgentService>, "getImageManifest" | "fetchChunks">;

export function remoteImages(client: ImageClient, patience = patienceMs): ImageSource {
  return {
    async manifest(digest, signal) {
      const tries = new Tries(patience, signal);
      while (true) {
        try {
          const { manifest } = await client.getImageManifest({ digest }, { signal });
          if (!manifest) throw new RpcError(codes.NOT_FOUND, `the daemon has no manifest of image ${digest}`);
          return manifest;
        } catch (error) {
          await tries.failed(error);
        }
      }
    },

    async *chunks(digest, indexes, signal) {
      const tries = new Tries(patience, signal);
      let delivered = 0;
      while (delivered < indexes.length) {
        try {
          const rest = client.fetchChunks({ digest, indexes: indexes.slice(delivered) }, { signal });
          for await (const chunk of rest) {
            delivered++;
            tries.succeeded();
            yield chunk;
          }
          if (delivered < indexes.length) {
            throw new RpcError(codes.UNAVAILABLE, `the daemon sent ${delivered} of ${indexes.length} chunks`);
          }
        } catch (error) {
          await tries.failed(error);
        }
      }
    },
  };
}
