import "reflect-metadata";
import { createHash, createPublicKey, verify, webcrypto } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";
import * as x509 from "@peculiar/x509";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CsrError, openCa } from "./ca.ts";

let root: string;
let directory: string;
const clock = () => new Date();
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "muster-ca-"));
  directory = join(root, "pki");
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

test("a node with a signed certificate and the daemon believe each other", async () => {
  const ca = await openCa(directory, ["10.77.0.1"], clock);
  const keys = await makeKeys();
  const node = await ca.signNode(await request(keys), "n1");
  const key = x509.PemConverter.encode(
    await webcrypto.subtle.exportKey("pkcs8", keys.privateKey),
    "PRIVATE KEY",
  );

  const server = createServer({ key: ca.serverKey, cert: ca.serverCert, ca: ca.caPem, requestCert: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted: Promise<TLSSocket[]> = once(server, "secureConnection");
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: "127.0.0.1", ca: ca.caPem, cert: node.certificate, key });
  await once(client, "secureConnect");
  const [peer] = await accepted;

  expect(client.authorized).toBe(true);
  expect(peer?.authorized).toBe(true);
  expect(peer?.getPeerCertificate().subject.CN).toBe("n1");
  client.destroy();
  server.close();
});

test("a certificate says who, for what and for how long", async () => {
  const now = new Date("2026-05-01T12:00:00Z");
  const ca = await openCa(directory, ["10.77.0.1", "muster.example"], () => now);
  const keys = await makeKeys();
  const { certificate, keyDigest } = await ca.signNode(await request(keys), "n1");
  const node = new x509.X509Certificate(certificate);
  expect(node.subject).toBe("CN=n1");
  expect(node.notBefore).toEqual(new Date("2026-04-30T12:00:00Z"));
  expect(node.notAfter).toEqual(new Date("2027-05-01T12:00:00Z"));
  expect(node.getExtension(x509.ExtendedKeyUsageExtension)?.usages).toEqual([
    x509.ExtendedKeyUsage.clientAuth,
  ]);
  expect(await node.verify({ publicKey: new x509.X509Certificate(ca.caPem), date: now })).toBe(true);
  const spki = await webcrypto.subtle.exportKey("spki", keys.publicKey);
  expect(keyDigest).toBe(createHash("sha256").update(new Uint8Array(spki)).digest("hex"));

  const server = new x509.X509Certificate(ca.serverCert);
  const names = server.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON();
  expect(names).toEqual([
    { type: "ip", value: "10.77.0.1" },
    { type: "dns", value: "muster.example" },
    { type: "ip", value: "127.0.0.1" },
    { type: "dns", value: "localhost" },
  ]);
});

test("the CA outlives a restart, the daemon's own certificate does not", async () => {
  const first = await openCa(directory, ["10.77.0.1"], clock);
  const second = await openCa(directory, ["10.77.0.2"], clock);
  expect(second.caPem).toBe(first.caPem);
  expect(second.fingerprint).toBe(first.fingerprint);
  expect(second.fingerprint).toMatch(/^[0-9a-f]{64}$/);
  expect(second.joinToken).toBe(first.joinToken);
  expect(second.joinToken.length).toBeGreaterThan(40);
  expect(second.imageKeyPem).toBe(first.imageKeyPem);
  expect(second.serverCert).not.toBe(first.serverCert);
});

test("only root reads the secrets, and nothing is left over", async () => {
  await openCa(directory, [], clock);
  expect(await readdir(root)).toEqual(["pki"]);
  const modes: Record<string, string> = {};
  for (const name of await readdir(directory)) {
    modes[name] = ((await stat(join(directory, name))).mode & 0o777).toString(8);
  }
  expect(modes).toEqual({
    "ca.key": "600",
    "ca.pem": "644",
    "image.key": "600",
    "join-token": "600",
    "server.key": "600",
    "server.pem": "644",
  });
});

test("a half-made directory is not filled up", async () => {
  await openCa(directory, [], clock);
  await rm(join(directory, "ca.key"));
  await expect(openCa(directory, [], clock)).rejects.toThrow(/pki is incomplete: ca\.key missing\. Restore/);
});

test("a key of another CA is noticed", async () => {
  await openCa(directory, [], clock);
  const other = join(root, "other");
  await openCa(other, [], clock);

  await copyFile(join(other, "ca.key"), join(directory, "ca.key"));
  await expect(openCa(directory, [], clock)).rejects.toThrow(/ca\.key is not the key of ca\.pem/);
});

test("bad requests are refused with the reason", async () => {
  const ca = await openCa(directory, [], clock);
  await expect(ca.signNode("hello", "n1")).rejects.toThrow(CsrError);
  await expect(ca.keyDigest("hello")).rejects.toThrow(/not a PKCS#10 request in PEM/);
  await expect(ca.keyDigest("x".repeat(20_000))).rejects.toThrow(/longer than 16384/);

  const der = Buffer.from(x509.PemConverter.decodeFirst(await request(await makeKeys())));
  const name = der.indexOf("agent");
  der[name] = "A".charCodeAt(0);
  const forged = x509.PemConverter.encode(new Uint8Array(der), "CERTIFICATE REQUEST");
  await expect(ca.signNode(forged, "n1")).rejects.toThrow(/signature is not by the key that it names/);
});

test("manifests are signed so that the public key in the join bundle can check", async () => {
  const ca = await openCa(directory, [], clock);
  const bytes = new TextEncoder().encode("manifest");
  const signature = ca.signManifest(bytes);
  expect(verify(null, bytes, createPublicKey(ca.imageKeyPem), signature)).toBe(true);
  expect(verify(null, bytes.subarray(1), createPublicKey(ca.imageKeyPem), signature)).toBe(false);
});

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function request(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: "CN=agent",
    keys,
    signingAlgorithm: algorithm,
  });
  return csr.toString("pem");
}
