import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checked, digestOf, expectedDigest, type Vouching } from "./checksum.ts";

const digest = "de7030234493a8bea844dbe1d8676e68a2c1a4b014c721f0425a22b6df66faec";
const list = `${digest} *disk.img\n`;
// A key that was made for this test, and its signature of that list.
const signature =
  "iHUEABYIAB0WIQQ/tdYSghHbgkIdeke5h5qebZwEuAUCawHHYQAKCRC5h5qebZwEuPQ5AQDZrvnI4RNgOds1fBQPhrJ2kwf/yLe74IrnFuc7eeq5WwEAwtMl69MM3eN8f5mMUkJ/GZVhuB82KnhZrw8jlZ2J3gA=";
const key = `-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawHHYRYJKwYBBAHaRw8BAQdAtQMEelsrFFWQ5ajbHusOqIr+Eq2YiacHV/8F
It3iRue0Hk11c3RlciB0ZXN0IDx0ZXN0QGV4YW1wbGUub3JnPoiQBBMWCAA4FiEE
P7XWEoIR24JCHXpHuYeanm2cBLgFAmsBx2ECGwMFCwkIBwIGFQoJCAsCBBYCAwEC
HgECF4AACgkQuYeanm2cBLgf7AD/fpTWHKg/Th9WF0wnJfGJjuCxryWNxLLNsIdT
uIK94sIA/2xVyzTYkt2m6soPTDQLnyF1ACeXcrHjmJyKjqCBODAO
=MNHY
-----END PGP PUBLIC KEY BLOCK-----
`;

let scratch: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "checksum-"));
  await writeFile(join(scratch, "SHA256SUMS"), list);
  await writeFile(join(scratch, "SHA256SUMS.gpg"), Buffer.from(signature, "base64"));
  await writeFile(join(scratch, "keys.asc"), key);
});
afterEach(() => rm(scratch, { recursive: true }));

const expected = (vouching: Vouching, source = "http://host/path/disk.img?x=1") =>
  expectedDigest(source, vouching, {
    scratch,
    signal: new AbortController().signal,
    fetch: async (address) => join(scratch, address),
  });
const signed = () => ({
  checksums: "SHA256SUMS",
  signature: "SHA256SUMS.gpg",
  keyring: join(scratch, "keys.asc"),
});

test("a digest is given, or is in a list under the source's name", async () => {
  expect(await expected({})).toBeUndefined();
  expect(await expected({ checksum: `sha256:${digest.toUpperCase()}` })).toBe(digest);
  expect(await expected({ checksums: "SHA256SUMS" })).toBe(digest);
  expect(digestOf("a b.img", `SHA256 (a b.img) = ${digest}`)).toBe(digest);
  expect(digestOf("disk.img", `${digest}  ./disk.img`)).toBe(digest);
  expect(digestOf("disk.img", `${digest}  old-disk.img`)).toBeUndefined();
});

test("a list counts when its signature is by a key of the keyring, armored or not", async () => {
  expect(await expected(signed())).toBe(digest);
  const lines = key.split("\n");
  const binary = lines
    .slice(
      2,
      lines.findIndex((line) => line.startsWith("=")),
    )
    .join("");
  await writeFile(join(scratch, "keys.asc"), Buffer.from(binary, "base64"));
  expect(await expected(signed())).toBe(digest);
});

test("a list that was changed, or is signed by somebody else, is refused", async () => {
  await writeFile(join(scratch, "SHA256SUMS"), list.replace("de70", "de71"));
  await expect(expected(signed())).rejects.toThrow(
    /not signed by a key of .*keys.asc: gpgv failed: .*BAD signature/s,
  );
  await writeFile(join(scratch, "SHA256SUMS"), list);
  await writeFile(join(scratch, "keys.asc"), "");
  await expect(expected(signed())).rejects.toThrow(/not signed by a key of/);
});

test("what cannot vouch is refused", async () => {
  await expect(expected({ checksum: "md5:abc" })).rejects.toThrow("is not sha256: and 64 hexadecimal digits");
  await expect(expected({ checksums: "SHA256SUMS", signature: "SHA256SUMS.gpg" })).rejects.toThrow(
    "--keyring together",
  );
  await expect(expected({ checksum: `sha256:${digest}`, checksums: "SHA256SUMS" })).rejects.toThrow(
    "give either",
  );
  await expect(expected({ checksums: "SHA256SUMS" }, "other.img")).rejects.toThrow(
    "SHA256SUMS has no sha256 of other.img",
  );
});

test("a stream that is not what was expected fails at its end", async () => {
  async function* stream() {
    yield Buffer.from("image ");
    yield Buffer.from("bytes");
  }
  const read = async (sum: string) => Buffer.concat(await Array.fromAsync(checked(stream(), sum, "stdin")));
  expect((await read(digest)).toString()).toBe("image bytes");
  await expect(read(digest.replace("de70", "de71"))).rejects.toThrow(
    `stdin has the sha256 ${digest}, not de71`,
  );
});
