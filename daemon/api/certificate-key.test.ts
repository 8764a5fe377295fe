import "reflect-metadata";
import { createHash, webcrypto, X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openCa } from "../drivers/ca.ts";
import { keyDigestOf } from "./certificate-key.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-key-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it("finds in a node's certificate the key that its request was for", async () => {
  const ca = await openCa(join(directory, "pki"), ["127.0.0.1"], () => new Date());
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const request = { name: "CN=muster-agent", keys, signingAlgorithm: algorithm };
  const csr = (await Pkcs10CertificateRequestGenerator.create(request)).toString("pem");
  const { certificate, keyDigest } = await ca.signNode(csr, "n1");
  const { raw, publicKey } = new X509Certificate(certificate);
  expect(keyDigestOf(raw)).toBe(keyDigest);
  const spki = publicKey.export({ type: "spki", format: "der" });
  expect(keyDigestOf(raw)).toBe(createHash("sha256").update(spki).digest("hex"));
});

it("gives no node's key for bytes that are no certificate", () => {
  expect(keyDigestOf(new Uint8Array())).toBe(createHash("sha256").digest("hex"));
});
