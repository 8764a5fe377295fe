// The public key of a certificate that TLS has checked already. A parser of certificates would do it too, in a
// thousand times the time; thousands of agents come back at once after a restart.
import { createHash } from "node:crypto";

/** sha256 (hexadecimal) of the SubjectPublicKeyInfo in a DER certificate. */
export function keyDigestOf(der: Uint8Array): string {
  const tbs = element(der, element(der, 0).from);
  let at = tbs.from;
  // Version, serial number, signature algorithm, issuer, validity, subject; then the key.
  for (let field = 0; field < 6; field++) at = element(der, at).end;
  return createHash("sha256")
    .update(der.subarray(at, element(der, at).end))
    .digest("hex");
}

/** Where the content of the DER element at `at` begins and ends. */
function element(der: Uint8Array, at: number): { from: number; end: number } {
  const first = der[at + 1] ?? 0;
  if (first < 0x80) return { from: at + 2, end: at + 2 + first };
  const from = at + 2 + (first & 0x7f);
  const length = der.subarray(at + 2, from).reduce((sum, byte) => sum * 256 + byte, 0);
  return { from, end: from + length };
}
