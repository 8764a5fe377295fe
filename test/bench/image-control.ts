// The control plane of a real daemon, while 64 receivers take all that its data plane gives.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { issueTicket } from "../../daemon/delivery/ticket.ts";
import { manifestSigner } from "../../daemon/drivers/signing-key.ts";
import { BenchDaemon } from "./bench-daemon.ts";
import { freePort } from "./free-port.ts";
import { copyStore, type Latencies, probe, shareOf } from "./image-fanout.ts";
import { timed } from "./timed.ts";

const probeSeconds = 20;
const receivers = 64;

export async function controlUnderLoad(store: string, digest: string, work: string): Promise<Latencies> {
  const stateDir = join(work, "control-state");
  rmSync(stateDir, { recursive: true, force: true });
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  copyStore(store, stateDir, digest);
  const [http, enroll, agent, delivery] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  await using _ = await BenchDaemon.start(stateDir, { http, enroll, agent, delivery }, []);
  const body = join(work, "control-request.bin");
  writeFileSync(body, shareOf(store, digest).frame);
  const { ticketKey } = manifestSigner(readFileSync(join(stateDir, "pki", "image.key"), "utf8"));
  const expiryMs = Date.now() + 3_600_000;
  const ticket = issueTicket(ticketKey, { images: [digest], node: "bench", rack: "", expiryMs });
  const load = timed(
    `timeout ${probeSeconds + 10} h2load -n 100000 -D ${probeSeconds + 5} -c ${receivers} -m 1 -t 1 -w 24 -W 28 \
      -H 'content-type: application/grpc' -H 'te: trailers' -H 'muster-ticket: ${ticket}' -d ${body} \
      http://127.0.0.1:${delivery}/muster.v1.DeliveryService/FetchChunks`,
  );
  const latencies = await probe(stateDir, enroll, agent, probeSeconds);
  const { stdout } = await load;
  if (!/ 0 failed/.test(stdout)) throw new Error(`h2load says:\n${stdout}`);
  rmSync(stateDir, { recursive: true, force: true });
  return latencies;
}
