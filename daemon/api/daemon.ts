// DaemonService.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import packageJson from "../../package.json" with { type: "json" };
import type { DaemonService } from "../../proto/gen/muster/v1/daemon_pb.ts";
import { hintFor } from "../../proto/manifest/suggest.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import type { DaemonConfig } from "../config.ts";
import { explain } from "../domain/explain.ts";
import type { Surroundings } from "../drivers/doctor/check.ts";
import { checkNames, examine } from "../drivers/doctor/examine.ts";
import { backup, filesToBackUp } from "./backup.ts";
import { type ApiContext, invalidField, notFound } from "./context.ts";

/** Where the daemon is reached; known once its ports are open. */
export type Places = Pick<Surroundings, "socketPath" | "ports">;

export function daemonService(
  context: ApiContext,
  config: DaemonConfig,
  places: Places,
): Handlers<typeof DaemonService> {
  const { engine, store, files, log, clock } = context;
  const { stateDir, address } = config;
  const startTime = timestampFromMs(clock());
  return {
    getDaemon: async () => ({
      version: packageJson.version,
      startTime,
      revision: store.revision,
      stateDir,
      enrollAddress: `${address}:${places.ports.enroll}`,
      agentAddress: `${address}:${places.ports.agent}`,
      deliveryAddress: `${address}:${places.ports.delivery}`,
      deliveryHttpAddress: `${address}:${places.ports.deliveryHttp}`,
    }),
    explain: async ({ name }) => {
      const explanation = explain(engine.state, name, clock());
      if (!explanation) throw notFound("node, deployment or step", name);
      return explanation;
    },
    examine: async function* ({ checks }) {
      checks.forEach((check, i) => {
        if (checkNames.includes(check)) return;
        const description = `there is no check \`${check.slice(0, 60)}\`${hintFor(check, checkNames)}`;
        throw invalidField("UNKNOWN_CHECK", `checks[${i}]`, description);
      });
      yield* examine(surroundings(context, config, places), checks);
    },
    backup: () => {
      const needed = filesToBackUp(store, files, (error) => log.warn(`not in the backup: ${error.message}`));
      return backup(store, stateDir, clock, needed);
    },
  };
}

function surroundings(
  { engine, ca, images, clock }: ApiContext,
  config: DaemonConfig,
  places: Places,
): Surroundings {
  return {
    ...config,
    ...places,
    certificates: [
      { name: "the cluster's authority", pem: ca.caPem },
      { name: "the daemon", pem: ca.serverCert },
    ],
    images,
    registered: () => [...engine.state.images.values()],
    nodeCount: () => engine.state.nodes.size,
    now: clock,
  };
}
