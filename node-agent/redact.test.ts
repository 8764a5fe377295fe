import { describe, expect, it } from "vitest";
import { Redactor } from "./redact.ts";

function knowing(secrets: Record<string, string>): Redactor {
  const redactor = new Redactor();
  for (const [name, content] of Object.entries(secrets)) redactor.add(name, Buffer.from(content));
  return redactor;
}

describe("a secret", () => {
  const secret = `it's "+/&ä" 50%`;
  const redactor = knowing({ db: secret });

  it.each([
    ["as it is", `password=${secret};`, "password=[secret db];"],
    ["quoted for a URL", `?p=${encodeURIComponent(secret)}&x`, "?p=[secret db]&x"],
    ["quoted for a form", new URLSearchParams({ p: secret }).toString(), "p=[secret db]"],
    ["in JSON", JSON.stringify({ p: secret }), '{"p":"[secret db]"}'],
    ["quoted for a shell", `'${secret.replaceAll("'", "'\\''")}'`, "'[secret db]'"],
    ["in base64", Buffer.from(secret).toString("base64"), "[secret db]"],
    ["in base64 for a URL", Buffer.from(secret).toString("base64url"), "[secret db]"],
  ])("is taken out %s", (_, text, shown) => {
    expect(redactor.text(text)).toBe(shown);
  });

  it.each(["u:", "us:", "usr:"])("is taken out in the middle of base64, after %j", (before) => {
    const encoded = Buffer.from(`${before}${secret}\n`).toString("base64");
    const shown = redactor.text(encoded);
    expect(shown).toContain("[secret db]");
    // What is left holds no more than the bits at its ends.
    expect(shown.replace("[secret db]", "").length).toBeLessThan(12);
  });

  it("is taken out line by line, and a long one as base64 breaks it", () => {
    const key = `-----BEGIN KEY-----\n${"abcdefghijklmnop".repeat(4)}\n${"q".repeat(64)}\n-----END KEY-----\n`;
    const pem = knowing({ key });
    expect(pem.text(key)).toBe("[secret key]");
    expect(pem.text(`  ${"q".repeat(64)}\r\n`)).toBe("  [secret key]\r\n");
    const encoded = Buffer.from(key).toString("base64").replace(/.{76}/g, "$&\n");
    expect(pem.text(encoded).replaceAll("[secret key]", "").trim()).toBe("");
  });

  it("of three characters is left: it would be found everywhere", () => {
    expect(knowing({ pin: "and" }).text("sand and stone")).toBe("sand and stone");
    expect(knowing({ pin: "sand" }).text("sand and stone")).toBe("[secret pin] and stone");
  });

  it("that contains another is named itself", () => {
    const both = knowing({ short: "hunter", long: "hunter22" });
    expect(both.text("hunter22 hunter")).toBe("[secret long] [secret short]");
  });

  it("is taken out of facts, also as a name and as a number", () => {
    const known = knowing({ pin: "123456", word: "swordfish" });
    const facts = { pin: 123456, list: ["a swordfish"], swordfish: { ok: true, none: null } };
    expect(known.json(facts)).toEqual({
      pin: "[secret pin]",
      list: ["a [secret word]"],
      "[secret word]": { ok: true, none: null },
    });
  });
});
