// The fetcher that a source needs. What a lane does not use is not loaded.
import type { SignedImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { SourceFault } from "./faults.ts";
import type { Fetcher, SourceAddress } from "./fetcher.ts";

export async function openFetcher(source: SourceAddress): Promise<Fetcher> {
  switch (source.kind) {
    case "grpc":
      return new (await import("./fetch-grpc.ts")).GrpcFetcher(source);
    case "http":
      return source.address.startsWith("https:")
        ? new (await import("./fetch-https.ts")).HttpsFetcher(source)
        : new (await import("./fetch-http.ts")).HttpFetcher(source);
    case "directory":
      return new (await import("./fetch-directory.ts")).DirectoryFetcher(source);
    default:
      throw unknownKind(source);
  }
}

/** As the source has it: not yet looked at. Throws SourceFault. */
export async function fetchManifest(
  source: SourceAddress,
  digest: string,
  signal: AbortSignal,
): Promise<SignedImageManifest> {
  switch (source.kind) {
    case "grpc":
      return (await import("./grpc-manifest.ts")).grpcManifest(source, digest, signal);
    case "http":
      return (await import("./fetch-https.ts")).httpManifest(source, digest, signal);
    default:
      throw unknownKind(source);
  }
}

function unknownKind({ address }: SourceAddress): SourceFault {
  return new SourceFault({ kind: "missing", message: `this agent does not know how to use ${address}` });
}
