// The encryption of stored secrets. The key is a file beside the other keys of the cluster; without it, what is in
// the database says nothing.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { chmod, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { SecretRecord } from "../../proto/gen/muster/v1/record_pb.ts";
import { errorCode, writeFileAtomic } from "./files.ts";

/** AES-256-GCM, as SecretRecord says. */
export type Sealed = { nonce: Uint8Array; sealed: Uint8Array };

/** The secret was stored under another key, or its record has been tampered with. */
export class SecretError extends Error {
  override name = "SecretError";
}

const fileName = "secrets.key";
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

export class SecretVault {
  readonly #key: Buffer;
  readonly #digestKey: Buffer;

  constructor(key: Buffer) {
    this.#key = key;
    this.#digestKey = Buffer.from(hkdfSync("sha256", key, "", "digest of contents", keyBytes));
  }

  seal(name: string, content: Uint8Array): Sealed {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce, { authTagLength: tagBytes });
    cipher.setAAD(Buffer.from(name));
    const sealed = Buffer.concat([cipher.update(content), cipher.final(), cipher.getAuthTag()]);
    return { nonce: new Uint8Array(nonce), sealed: new Uint8Array(sealed) };
  }

  /** The content. Throws SecretError. */
  open({ secret, nonce, sealed }: SecretRecord): Uint8Array {
    const name = secret?.name ?? "";
    const end = sealed.length - tagBytes;
    try {
      const decipher = createDecipheriv("aes-256-gcm", this.#key, nonce, { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(name));
      decipher.setAuthTag(sealed.subarray(end));
      return new Uint8Array(Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()]));
    } catch (cause) {
      const remedy = `restore the pki directory of the time, or set it again with \`muster secret set ${name}\``;
      throw new SecretError(
        `the secret ${name} was stored under another key than pki/${fileName}: ${remedy}`,
        {
          cause,
        },
      );
    }
  }

  /** The same for the same content; says nothing about it to those who have not the key. */
  digest(content: Uint8Array): Uint8Array {
    return new Uint8Array(createHmac("sha256", this.#digestKey).update(content).digest());
  }
}

/**
 * Reads the key in the pki directory, or makes one while nothing is stored under one. `onUnreadable` is told of each
 * stored secret that the key does not open: it may be set again, and the rest of the daemon does not need it.
 */
export async function openSecretVault(
  directory: string,
  stored: readonly SecretRecord[],
  onUnreadable: (error: SecretError) => void,
): Promise<SecretVault> {
  const path = join(directory, fileName);
  const vault = new SecretVault((await readKey(path)) ?? (await makeKey(path, stored)));
  for (const record of stored) {
    try {
      vault.open(record);
    } catch (error) {
      if (!(error instanceof SecretError)) throw error;
      onUnreadable(error);
    }
  }
  return vault;
}

async function readKey(path: string): Promise<Buffer | undefined> {
  try {
    const key = await readFile(path);
    await chmod(path, 0o600);
    if (key.length === keyBytes) return key;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  throw new Error(`${path} is no key of ${keyBytes} bytes: restore the whole directory from a backup`);
}

async function makeKey(path: string, stored: readonly SecretRecord[]): Promise<Buffer> {
  if (stored.length > 0) {
    const count = stored.length === 1 ? "the stored secret" : `the ${stored.length} stored secrets`;
    throw new Error(
      `${path} is missing, which opens ${count}. Restore the whole directory from a backup; or, if every secret ` +
        `may be set again, make a new key with \`(umask 077; head -c ${keyBytes} /dev/urandom > ${path})\``,
    );
  }
  const key = randomBytes(keyBytes);
  await writeFileAtomic(path, key, 0o600);
  return key;
}
