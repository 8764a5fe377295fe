// The cluster's certificate authority: who a node is, and that the daemon is the one it should trust.
import "reflect-metadata";
import { createHash, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { writeFileAtomic } from "./files.ts";
import { createPkiDirectory, readPkiDirectory } from "./pki-directory.ts";
import { manifestSigner } from "./signing-key.ts";

export type Ca = {
  caPem: string;
  /** sha256 of the CA's DER, in hexadecimal. */
  fingerprint: string;
  /** For the TLS ports, valid for the addresses that the CA was opened with. */
  serverKey: string;
  serverCert: string;
  /** Lets a machine ask to join. */
  joinToken: string;
  /** Checks the request and answers it. Throws CsrError. */
  signNode(csrPem: string, name: string): Promise<{ certificate: string; keyDigest: string }>;
  /** sha256 of the requester's public key (SPKI), in hexadecimal. Throws CsrError. */
  keyDigest(csrPem: string): Promise<string>;
  /** Ed25519 over an image manifest. */
  signManifest(bytes: Uint8Array): Uint8Array;
  /** Seals tickets for the image data plane. */
  ticketKey: Uint8Array;
  /** PEM (SPKI) of the key that checks signManifest's signatures. */
  imageKeyPem: string;
};

/** The request of a node cannot be granted, and why. */
export class CsrError extends Error {
  override name = "CsrError";
}

const dayMs = 24 * 3600 * 1000;
const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" };
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };
const csrMaxChars = 16 * 1024;

x509.cryptoProvider.set(webcrypto as Crypto);

/** Opens the CA in `directory`, or makes a new one if there is no such directory. */
export async function openCa(directory: string, addresses: string[], clock: () => Date): Promise<Ca> {
  await createPkiDirectory(directory, () => makeAuthority(clock()));
  const files = await readPkiDirectory(directory);
  const authority = await loadAuthority(directory, files.caKey, files.caPem);
  const server = await issueServer(authority, addresses, clock());
  await writeFileAtomic(join(directory, "server.key"), server.key, 0o600);
  await writeFileAtomic(join(directory, "server.pem"), server.certificate);
  return {
    caPem: files.caPem,
    fingerprint: sha256(authority.certificate.rawData),
    serverKey: server.key,
    serverCert: server.certificate,
    joinToken: files.joinToken,
    signNode: async (csrPem, name) => {
      const csr = await checkedRequest(csrPem);
      const certificate = await issueNode(authority, csr, name, clock());
      return { certificate, keyDigest: sha256(csr.publicKey.rawData) };
    },
    keyDigest: async (csrPem) => sha256((await checkedRequest(csrPem)).publicKey.rawData),
    ...manifestSigner(files.imageKey),
  };
}

type Authority = { key: CryptoKey; certificate: x509.X509Certificate };

async function makeAuthority(now: Date): Promise<{ caKey: string; caPem: string }> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(now, 20 * 365),
    serialNumber: randomSerial(),
    name: [{ CN: ["Muster cluster CA"] }],
    keys,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { caKey: await exportKey(keys.privateKey), caPem: pem(certificate) };
}

async function loadAuthority(directory: string, caKey: string, caPem: string): Promise<Authority> {
  const certificate = new x509.X509Certificate(caPem);
  const der = x509.PemConverter.decodeFirst(caKey);
  const key = await webcrypto.subtle.importKey("pkcs8", der, keyAlgorithm, false, ["sign"]);
  const probe = new TextEncoder().encode("muster");
  const signature = await webcrypto.subtle.sign(signingAlgorithm, key, probe);
  const publicKey = await certificate.publicKey.export(keyAlgorithm, ["verify"]);
  if (!(await webcrypto.subtle.verify(signingAlgorithm, publicKey, signature, probe))) {
    throw new Error(`${directory}: ca.key is not the key of ca.pem; restore both from the same backup`);
  }
  return { key, certificate };
}

async function issueServer(authority: Authority, addresses: string[], now: Date) {
  const keys = await makeKeys();
  const names = [...new Set([...addresses, "127.0.0.1", "localhost"])].map(
    (value) => ({ type: isIP(value) ? "ip" : "dns", value }) as const,
  );
  const certificate = await issue(authority, keys.publicKey, "muster daemon", now, [
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    new x509.SubjectAlternativeNameExtension(names),
  ]);
  return { key: await exportKey(keys.privateKey), certificate };
}

async function issueNode(
  authority: Authority,
  csr: x509.Pkcs10CertificateRequest,
  name: string,
  now: Date,
): Promise<string> {
  return await issue(authority, csr.publicKey, name, now, [
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
  ]);
}

async function issue(
  authority: Authority,
  publicKey: x509.PublicKey | CryptoKey,
  name: string,
  now: Date,
  extensions: x509.Extension[],
): Promise<string> {
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(now, 365),
    serialNumber: randomSerial(),
    subject: [{ CN: [name] }],
    issuer: authority.certificate.subjectName.toJSON(),
    publicKey,
    signingKey: authority.key,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      ...extensions,
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate),
    ],
  });
  return pem(certificate);
}

/** The request, if whoever sent it has the key that it asks a certificate for. */
async function checkedRequest(csrPem: string): Promise<x509.Pkcs10CertificateRequest> {
  if (csrPem.length > csrMaxChars)
    throw new CsrError(`certificate request: longer than ${csrMaxChars} characters`);
  let csr: x509.Pkcs10CertificateRequest;
  let genuine: boolean;
  try {
    csr = new x509.Pkcs10CertificateRequest(csrPem);
    genuine = await csr.verify();
  } catch (cause) {
    throw new CsrError("certificate request: not a PKCS#10 request in PEM that can be read; make a new one", {
      cause,
    });
  }
  if (!genuine) {
    throw new CsrError("certificate request: its signature is not by the key that it names; make a new one");
  }
  return csr;
}

// A node's clock may be slow when it boots: what is issued is valid since yesterday.
function validity(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - dayMs), notAfter: new Date(now.getTime() + days * dayMs) };
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
}

async function exportKey(key: CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

// The first bit is cleared: a serial number is positive.
function randomSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

const pem = (certificate: x509.X509Certificate): string => `${certificate.toString("pem")}\n`;

const sha256 = (bytes: ArrayBuffer): string =>
  createHash("sha256").update(new Uint8Array(bytes)).digest("hex");
