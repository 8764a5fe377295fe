// Why an image cannot be had: there is none (NOT_FOUND), or its content is not what its manifest says (DAMAGED).

export class ImageError extends Error {
  override name = "ImageError";
  readonly reason: "NOT_FOUND" | "DAMAGED";

  constructor(reason: "NOT_FOUND" | "DAMAGED", message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
