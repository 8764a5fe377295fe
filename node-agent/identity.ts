// The agent's key and certificate, as files. The key is made once and outlives restarts of the agent, so that
// an approval that was given to it stays good.
import "reflect-metadata";
import { createPrivateKey, createPublicKey, webcrypto, X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

export type Credentials = { node: string; privateKey: string; certificate: string };

export class IdentityStore {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The credentials if there are any that fit the cluster's CA. */
  async load(caCertificate: string): Promise<Credentials | { missing: string }> {
    const privateKey = await readIfThere(join(this.#dir, "key.pem"));
    const certificate = await readIfThere(join(this.#dir, "cert.pem"));
    if (!privateKey || !certificate) return { missing: "this machine has no certificate yet" };
    const parsed = new X509Certificate(certificate);
    if (!parsed.checkPrivateKey(createPrivateKey(privateKey))) {
      return { missing: `${this.#dir}/cert.pem is for another key than key.pem` };
    }
    if (!parsed.verify(new X509Certificate(caCertificate).publicKey)) {
      return { missing: `${this.#dir}/cert.pem is not from the CA of the join bundle` };
    }
    return { node: commonName(parsed), privateKey, certificate };
  }

  /** The PEM of the key, made if there is none. */
  async key(): Promise<string> {
    const known = await readIfThere(join(this.#dir, "key.pem"));
    if (known) return known;
    const { privateKey } = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const encoded = await webcrypto.subtle.exportKey("pkcs8", privateKey);
    const pem = createPrivateKey({ key: Buffer.from(encoded), format: "der", type: "pkcs8" });
    const text = pem.export({ format: "pem", type: "pkcs8" }).toString();
    await this.#write("key.pem", text);
    return text;
  }

  async saveCertificate(certificate: string): Promise<void> {
    await this.#write("cert.pem", certificate);
  }

  /** The daemon does not take it any more. The key stays. */
  async forgetCertificate(): Promise<void> {
    await rm(join(this.#dir, "cert.pem"), { force: true });
  }

  async #write(name: string, text: string): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const file = join(this.#dir, name);
    await writeFile(`${file}.new`, text, { mode: 0o600, flush: true });
    await rename(`${file}.new`, file);
  }
}

/** A PKCS#10 request (PEM) for the key. Its subject says nothing: the daemon names the node. */
export async function certificateRequest(privateKeyPem: string): Promise<string> {
  const privateKey = createPrivateKey(privateKeyPem);
  const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
  const spki = createPublicKey(privateKeyPem).export({ format: "der", type: "spki" });
  const keys = {
    privateKey: await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]),
    publicKey: await webcrypto.subtle.importKey("spki", spki, algorithm, true, ["verify"]),
  };
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: "CN=muster-agent",
    keys,
    signingAlgorithm: algorithm,
  });
  return request.toString("pem");
}

function commonName(certificate: X509Certificate): string {
  const line = certificate.subject.split("\n").find((part) => part.startsWith("CN="));
  return line?.slice("CN=".length) ?? "";
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
