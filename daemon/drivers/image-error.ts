// Why the image store cannot do what it was asked for.

/**
 * NOT_FOUND: there is no such image. DAMAGED: content is not what its manifest says. DISK_FULL: the store's file
 * system has no room for it. QUOTA: see ImageQuotaError.
 */
export type ImageFault = "NOT_FOUND" | "DAMAGED" | "DISK_FULL" | "QUOTA";

export class ImageError extends Error {
  override name = "ImageError";
  readonly reason: ImageFault;

  constructor(reason: ImageFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The store may not grow by so much. In bytes. */
export class ImageQuotaError extends ImageError {
  override name = "ImageQuotaError";
  readonly needed: number;
  readonly stored: number;
  readonly quota: number;

  constructor(bytes: { needed: number; stored: number; quota: number }) {
    const { needed, stored, quota } = bytes;
    super("QUOTA", `it needs ${needed} bytes more, and the store has ${stored} of ${quota} bytes already`);
    this.needed = needed;
    this.stored = stored;
    this.quota = quota;
  }
}
