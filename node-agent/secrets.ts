// Secrets from the daemon, which gives them to the attempt that needs them and to nobody else. They are held in
// memory for that attempt alone.
import type { AgentService } from "../proto/gen/muster/v1/agent_pb.ts";
import type { ServiceClient } from "../proto/rpc/client.ts";
import type { SecretSource } from "./step.ts";
import { patienceMs, Tries } from "./tries.ts";

type SecretClient = Pick<ServiceClient<typeof AgentService>, "getSecret">;

/** The source of an attempt, by its token. A secret is asked for once: what it was stays so until the step ends. */
export function remoteSecrets(client: SecretClient, patience = patienceMs): (token: string) => SecretSource {
  return (token) => {
    const known = new Map<string, Uint8Array>();
    return async (name, signal) => {
      const tries = new Tries(patience, signal);
      for (let content = known.get(name); ; ) {
        if (content) return content;
        try {
          ({ content } = await client.getSecret({ token, name }, { signal }));
          known.set(name, content);
        } catch (error) {
          await tries.failed(error);
        }
      }
    };
  };
}
