// What the image store says, as answers of the API.

import { formatBytes } from "../../proto/render/bytes.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { ImageError, type ImageQuotaError } from "../drivers/image-error.ts";

/** Whatever the file system says about a directory that the caller named, too. */
export function invalidImage(error: unknown): never {
  const message = messageOf(error);
  if (error instanceof ImageError && error.reason === "DISK_FULL") {
    throw new RpcError(codes.RESOURCE_EXHAUSTED, message, { reason: "DISK_FULL", cause: error });
  }
  throw new RpcError(codes.INVALID_ARGUMENT, message, { reason: "INVALID_IMAGE", cause: error });
}

/** `collectable`: bytes that a collection would free; undefined if that cannot be said. */
export function overQuota(error: ImageQuotaError, collectable: number | undefined): RpcError {
  const { needed, stored, quota } = error;
  const freed = collectable === undefined ? "" : ` frees ${formatBytes(collectable)},`;
  const message =
    `it needs ${formatBytes(needed)} more, and the image store has ${formatBytes(stored)} of ` +
    `${formatBytes(quota)} already; \`muster image gc\`${freed} or start the daemon with a larger --image-quota`;
  const bytes = { needed, stored, quota, ...(collectable === undefined ? {} : { collectable }) };
  const metadata = Object.fromEntries(Object.entries(bytes).map(([name, value]) => [name, `${value}`]));
  return new RpcError(codes.RESOURCE_EXHAUSTED, message, { reason: "IMAGE_QUOTA", metadata, cause: error });
}

/** Nothing can be collected while it is not known what is needed. */
export function damagedStore(error: unknown): never {
  if (!(error instanceof ImageError)) throw error;
  throw new RpcError(codes.DATA_LOSS, error.message, { reason: "IMAGE_DAMAGED", cause: error });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
