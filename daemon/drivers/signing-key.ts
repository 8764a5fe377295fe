// The Ed25519 key that vouches for image manifests.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";

export function makeSigningKey(): string {
  return generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

export function manifestSigner(privateKeyPem: string) {
  const key = createPrivateKey(privateKeyPem);
  return {
    signManifest: (bytes: Uint8Array): Uint8Array => new Uint8Array(sign(null, bytes, key)),
    imageKeyPem: createPublicKey(key).export({ type: "spki", format: "pem" }).toString(),
  };
}
