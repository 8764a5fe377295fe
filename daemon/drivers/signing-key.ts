// The Ed25519 key that vouches for image manifests, and the key made from it that seals tickets for the data plane:
// one secret, so that neither can be lost without the other, and tickets hold over restarts and restores.
import { createPrivateKey, createPublicKey, generateKeyPairSync, hkdfSync, sign } from "node:crypto";

export function makeSigningKey(): string {
  return generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

export function manifestSigner(privateKeyPem: string) {
  const key = createPrivateKey(privateKeyPem);
  return {
    signManifest: (bytes: Uint8Array): Uint8Array => new Uint8Array(sign(null, bytes, key)),
    ticketKey: new Uint8Array(hkdfSync("sha256", privateKeyPem, "", "muster delivery ticket", 32)),
    imageKeyPem: createPublicKey(key).export({ type: "spki", format: "pem" }).toString(),
  };
}
