// The agent's side of one delivery, as the image step does it; bundled into one file, as the agent is. Argument: an
// order as JSON. Prints the tally.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { fromBinary } from "@bufbuild/protobuf";
import { deliver } from "../../node-agent/delivery/deliver.ts";
import { startLane } from "../../node-agent/delivery/lane-thread.ts";
import type { ImageSource_Kind } from "../../proto/gen/muster/v1/delivery_pb.ts";
import { ImageManifestSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { Verify } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { manifestFile } from "../../proto/image/layout.ts";

export type Order = {
  store: string;
  digest: string;
  formers: string[];
  target: string;
  kind: ImageSource_Kind;
  address: string;
  ticket: string;
};

if (isMainThread) await run(JSON.parse(process.argv[2] ?? ""));
else startLane();

async function run(order: Order): Promise<void> {
  const manifestOf = (digest: string) =>
    fromBinary(ImageManifestSchema, readFileSync(join(order.store, manifestFile(digest))));
  const { kind, address, ticket } = order;
  const tally = await deliver(
    {
      path: order.target,
      manifest: manifestOf(order.digest),
      digest: order.digest,
      sources: [{ $typeName: "muster.v1.ImageSource", kind, address, ticket, mirror: "" }],
      formers: order.formers.map(manifestOf),
      attempt: 1,
      verify: Verify.NONE,
    },
    {
      signal: AbortSignal.timeout(600_000),
      progress: () => {},
      report: async (_, fault) => {
        throw new Error(fault);
      },
      log: (line) => process.stderr.write(`${line}\n`),
    },
  );
  process.stdout.write(JSON.stringify(tally));
}
