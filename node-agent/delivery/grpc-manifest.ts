// Manifests over gRPC (DeliveryService).
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { DeliveryService, type GetManifestResponse } from "../../proto/gen/muster/v1/delivery_pb.ts";
import type { SignedImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { messageLimits, methodDefinition } from "../../proto/rpc/wire.ts";
import { SourceFault } from "./faults.ts";
import type { SourceAddress } from "./fetcher.ts";
import { statusFault } from "./grpc-status.ts";

const timeoutMs = 60_000;
const method = methodDefinition(DeliveryService.method.getManifest);

/** Throws SourceFault. */
export async function grpcManifest(
  { address, ticket }: SourceAddress,
  digest: string,
  signal: AbortSignal,
): Promise<SignedImageManifest> {
  const client = new Client(address, credentials.createInsecure(), messageLimits);
  const metadata = new Metadata();
  if (ticket) metadata.set("muster-ticket", ticket);
  const request = { $typeName: "muster.v1.GetManifestRequest" as const, digest };
  const abort = new AbortController();
  const onAbort = () => abort.abort();
  signal.addEventListener("abort", onAbort);
  try {
    const { manifest } = await new Promise<GetManifestResponse>((resolve, reject) => {
      const call = client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error) reject(statusFault(error.code, error.details));
          else resolve(response as GetManifestResponse);
        },
      );
      abort.signal.addEventListener("abort", () => call.cancel());
    });
    if (!manifest) throw new SourceFault({ kind: "missing", message: "it answered without a manifest" });
    return manifest;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    client.close();
  }
}
