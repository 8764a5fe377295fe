// Delivers an image in a process of its own, to be killed: node deliver-child.ts '{"path":"/x","manifest":"/y",...}'
import { readFileSync } from "node:fs";
import { create, fromBinary } from "@bufbuild/protobuf";
import { deliver } from "../../node-agent/delivery/deliver.ts";
import { type ImageSource_Kind, ImageSourceSchema } from "../../proto/gen/muster/v1/delivery_pb.ts";
import { ImageManifestSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { Verify } from "../../proto/gen/muster/v1/manifest_pb.ts";

export type DeliverOrder = {
  path: string;
  digest: string;
  /** Files. */
  manifest: string;
  formers: string[];
  source: { kind: ImageSource_Kind; address: string; ticket: string };
  attempt: number;
};

const order = JSON.parse(process.argv[2] ?? "") as DeliverOrder;
const manifestIn = (file: string) => fromBinary(ImageManifestSchema, readFileSync(file));
process.stdout.write("begins\n");
await deliver(
  {
    path: order.path,
    digest: order.digest,
    manifest: manifestIn(order.manifest),
    formers: order.formers.map(manifestIn),
    sources: [create(ImageSourceSchema, order.source)],
    attempt: order.attempt,
    verify: Verify.NONE,
  },
  {
    signal: new AbortController().signal,
    progress: () => {},
    report: async (_, fault) => {
      throw new Error(fault);
    },
    log: () => {},
  },
);
