import { describe, expect, it } from "vitest";
import { bindingOf, keymap, keysOf } from "./keymap.ts";
import type { Line } from "./screens/lines.ts";
import { filterLines, move, newView, windowOf } from "./view.ts";

describe("keymap", () => {
  it("binds every key once, and no key that Ink cannot tell apart", () => {
    const keys = keymap.flatMap((binding) => binding.keys);
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) expect(key === "" || /^f\d/.test(key)).toBe(false);
  });

  it("has every key that people know: moving, opening, leaving", () => {
    const commands = ["j", "k", "down", "up", "g", "G", "enter", "esc", "q", "?", "/", "1", "6"].map(
      (key) => bindingOf(key)?.command,
    );
    expect(commands).not.toContain(undefined);
  });

  it("takes keys that were typed fast apart", () => {
    expect(keysOf("jjk", {})).toEqual(["j", "j", "k"]);
    expect(keysOf("demo\r", {})).toEqual(["d", "e", "m", "o", "enter"]);
    expect(keysOf("ab\u007f", {})).toEqual(["a", "b", "backspace"]);
    expect(keysOf("ü", {})).toEqual(["ü"]);
  });

  it("names special keys, and keeps silent about those it does not know", () => {
    expect(keysOf("", { downArrow: true })).toEqual(["down"]);
    expect(keysOf("c", { ctrl: true })).toEqual(["ctrl-c"]);
    expect(keysOf("G", { shift: true })).toEqual(["G"]);
    expect(keysOf("", {})).toEqual([]);
  });
});

describe("view", () => {
  const choice = (name: string): Line => ({ segments: [{ text: name }], target: { kind: "node", name } });
  const text = (words: string): Line => ({ segments: [{ text: words }] });
  const list = ["a", "b", "c", "d", "e"].map(choice);

  it("keeps the cursor on its thing when lines come and go", () => {
    const view = move(newView("nodes"), list, 3, 2);
    expect(windowOf(view, list, 3)).toEqual({ from: 0, at: 2 });
    expect(windowOf(view, [choice("0"), ...list], 3).at).toBe(3);
    expect(windowOf(view, list.slice(0, 2), 3).at).toBe(1);
    expect(windowOf(view, [], 3).at).toBe(-1);
  });

  it("scrolls no further than needed, and not past either end", () => {
    const bottom = move(newView("nodes"), list, 3, 99);
    expect(windowOf(bottom, list, 3)).toEqual({ from: 2, at: 4 });
    const top = move(bottom, list, 3, -99);
    expect(windowOf(top, list, 3)).toEqual({ from: 0, at: 0 });
  });

  it("scrolls lines that cannot be chosen into view past the last choice", () => {
    const lines = [choice("a"), text("1"), text("2"), text("3"), text("4")];
    const view = move(newView("node"), lines, 3, 1);
    expect(windowOf(view, lines, 3)).toEqual({ from: 1, at: 0 });
    expect(windowOf(move(view, lines, 3, -1), lines, 3).from).toBe(0);
  });

  it("follows the end of a log until the operator moves", () => {
    const lines = ["1", "2", "3", "4"].map(text);
    const view = newView("log", "demo-1/n1/image");
    expect(windowOf(view, lines, 2).from).toBe(2);
    expect(windowOf(move(view, lines, 2, -1), lines, 2).from).toBe(1);
  });

  it("filters choices by their text and keeps the headings", () => {
    const lines = [text("Nodes"), choice("n1"), choice("n2")];
    expect(filterLines(lines, "N2")).toEqual([text("Nodes"), choice("n2")]);
    expect(filterLines([text("one"), text("two")], "tw")).toEqual([text("two")]);
  });
});
