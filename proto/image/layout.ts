// Where an image's files lie, in the daemon's store, in a directory that `muster image` made, and on a mirror.
// docs/image-format.md says the same for other programs.

/** Of the manifest with this digest (hexadecimal), relative to the store. Its signature has `.sig` after it. */
export const manifestFile = (digest: string): string => `manifests/${digest}.binpb`;

export const signatureFile = (digest: string): string => `${manifestFile(digest)}.sig`;

/** Of the chunk with this stored digest (hexadecimal), relative to the store. */
export const chunkFile = (name: string): string => `chunks/${name.slice(0, 2)}/${name}`;

/** The name of a chunk. */
export const chunkName = ({ storedDigest }: { storedDigest: Uint8Array }): string =>
  Buffer.from(storedDigest).toString("hex");
