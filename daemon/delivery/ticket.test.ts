import { expect, it } from "vitest";
import { checkTicket, issueTicket } from "./ticket.ts";

const key = new Uint8Array(32).fill(7);
const ticket = { images: ["a".repeat(64), "b".repeat(64)], node: "n1", rack: "r1", expiryMs: 1_000 };
const text = issueTicket(key, ticket);

it("opens what it was issued for, until it expires", () => {
  expect(checkTicket(key, text, 999)).toEqual(ticket);
  expect(checkTicket(key, text, 1_000)).toBe("has expired");
});

it("fits into an address as it is", () => {
  expect(text).toMatch(/^[\w-]+\.[\w-]+$/);
});

it("is refused when any of its characters is another, is missing, or is too many", () => {
  for (let i = 0; i < text.length - 1; i++) {
    const other = text[i] === "A" ? "B" : "A";
    expect(checkTicket(key, text.slice(0, i) + other + text.slice(i + 1), 0), `at ${i}`).toBeTypeOf("string");
    expect(checkTicket(key, text.slice(0, i), 0)).toBeTypeOf("string");
  }
  for (const longer of [`${text}.`, `${text}.x`, `${text}A`]) {
    expect(checkTicket(key, longer, 0)).toBe("is not one of this daemon");
  }
});

it("of another daemon is refused", () => {
  expect(checkTicket(new Uint8Array(32), text, 0)).toBe("is not one of this daemon");
  expect(checkTicket(key, "", 0)).toBe("is not one of this daemon");
});
