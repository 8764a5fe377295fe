// Raw clients of the daemon's gRPC ports; that of the agents with the certificate of a node that has joined.
import { join } from "node:path";
import { Client, credentials } from "@grpc/grpc-js";
import { openCa } from "../../daemon/drivers/ca.ts";
import { connectSecurely } from "../../node-agent/connect.ts";
import { certificateRequest, IdentityStore } from "../../node-agent/identity.ts";
import { EnrollService } from "../../proto/gen/muster/v1/agent_pb.ts";
import { daemonTlsName } from "../../proto/rpc/wire.ts";
import type { TestDaemon } from "../api/daemon.ts";

export type Port = "operators" | "joining" | "agents" | "delivery";

/** Makes a client. The daemon ends a connection that cancels very many calls, so that none is used for all. */
type Open = () => Client;

export async function openPorts({ muster, socket, stateDir }: TestDaemon): Promise<Record<Port, Open>> {
  const { enrollAddress, agentAddress, deliveryAddress } = await muster.daemon.getDaemon({});
  const { caPem, joinToken } = await openCa(
    join(stateDir, "pki"),
    ["127.0.0.1", daemonTlsName],
    () => new Date(),
  );
  const privateKey = await new IdentityStore(join(stateDir, "agent")).key();
  const csr = await certificateRequest(privateKey);
  using joining = connectSecurely(enrollAddress, caPem);
  const request = { joinToken, csr, fingerprint: { systemUuid: "1234-5678", macs: ["52:54:00:00:00:77"] } };
  const enroll = async () => (await joining.client(EnrollService).enroll(request)).outcome;
  const asked = await enroll();
  await muster.nodes.approveNode({ name: asked.value?.node });
  const answered = await enroll();
  if (answered.case !== "enrolled") throw new Error("the node was not let in");

  const ca = Buffer.from(caPem);
  const own = credentials.createSsl(ca, Buffer.from(privateKey), Buffer.from(answered.value.certificate));
  const unlimited = { "grpc.max_send_message_length": -1 };
  const tls = { ...unlimited, "grpc.ssl_target_name_override": daemonTlsName };
  return {
    operators: () =>
      new Client(`unix:${socket}`, credentials.createInsecure(), {
        ...unlimited,
        "grpc.default_authority": "muster",
      }),
    joining: () => new Client(enrollAddress, credentials.createSsl(ca), tls),
    agents: () => new Client(agentAddress, own, tls),
    delivery: () => new Client(deliveryAddress, credentials.createInsecure(), unlimited),
  };
}
