import { describe, expect, it } from "vitest";
import { mergeIni } from "./merge-ini.ts";

const merge = (...texts: string[]) => mergeIni(texts.map((text, index) => ({ name: `layer${index}`, text })));

describe("INI layers", () => {
  it("are merged key by key, what comes later wins", () => {
    const merged = merge(
      "# of the role\n[DEFAULT]\ndebug = false\nhost=a\n\n[database]\nconnection: mysql://a=b\n",
      "[DEFAULT]\ndebug = true\n[nova]\nx = 1\n",
      "[database]\nmax_pool = 5\n",
    );
    expect(merged).toBe(
      "[DEFAULT]\ndebug = true\nhost = a\n\n[database]\nconnection = mysql://a=b\nmax_pool = 5\n\n[nova]\nx = 1\n\n",
    );
    expect(merge(merged)).toBe(merged);
  });

  it("keep repeated keys of one layer, and replace them all by a later one", () => {
    const repeated = "[pci]\nalias = a\nalias = b\nname = x\n";
    expect(merge(repeated)).toBe("[pci]\nalias = a\nalias = b\nname = x\n\n");
    expect(merge(repeated, "[pci]\nalias = c\n")).toBe("[pci]\nalias = c\nname = x\n\n");
    expect(merge("[pci]\nalias = c\n", repeated)).toBe("[pci]\nalias = a\nalias = b\nname = x\n\n");
  });

  it("keep values of several lines, empty values, and keys before any section", () => {
    const text = '[s]\nlist = one\n  two\n\tthree\nempty =\nquoted = "a b"\n';
    expect(merge(text, "first = 1\n")).toBe(
      "first = 1\n\n[s]\nlist = one\n       two\n       three\nempty =\nquoted = a b\n\n",
    );
  });

  it.each([
    ["[s]\nno assignment\n", "layer0, line 2: it is neither a section nor KEY = VALUE: `no assignment`"],
    ["  x = 1\n", "layer0, line 1: an indented line goes on with a value"],
    ["[s\n", "layer0, line 1: a section is [NAME]: `[s`"],
    ["a = 1\n= 2\n", "layer0, line 2: it is neither"],
  ])("%j is refused", (text, message) => {
    expect(() => merge(text)).toThrow(message);
  });
});
