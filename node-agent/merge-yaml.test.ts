import { describe, expect, it } from "vitest";
import { mergeYaml } from "./merge-yaml.ts";

const merge = (...texts: string[]) =>
  mergeYaml(texts.map((text, index) => ({ name: `layer${index}`, text })));

describe("YAML layers", () => {
  it("are merged map by map; lists and scalars take each other's place", () => {
    const merged = merge(
      "# role\na: {x: 1, y: [1, 2]}\nkeep: me\nb: text\n",
      "a:\n  y:\n    - 3 # only\n  z: new\nb:\n  now: a map\n",
      "# nothing\n",
      "keep: ~\n",
    );
    expect(merged).toBe("a:\n  x: 1\n  y:\n    - 3\n  z: new\nkeep: ~\nb:\n  now: a map\n");
    expect(merge(merged)).toBe(merged);
  });

  it("keep words, numbers and quotes as they are written", () => {
    const text =
      'mode: 0644\non: yes\nversion: "1.10"\nplain: 1.10\nempty:\nquoted: "no"\nsingle: \'5\'\ntext: |\n  a\n  b\n';
    expect(merge(text)).toBe(
      'mode: 0644\non: yes\nversion: "1.10"\nplain: 1.10\nempty:\nquoted: "no"\nsingle: \'5\'\ntext: |\n  a\n  b\n',
    );
  });

  it("resolve anchors and merge keys of their own layer", () => {
    const text = "base: &base {x: 1, y: 2}\nuse:\n  <<: *base\n  y: 3\nlist: &l [a]\nagain: *l\n";
    expect(merge(text, "use: {z: 4}\n")).toBe(
      "base:\n  x: 1\n  y: 2\nuse:\n  x: 1\n  y: 3\n  z: 4\nlist:\n  - a\nagain:\n  - a\n",
    );
  });

  it.each([
    ["a: 1\nb: [\n", /^layer0: .*line 3/],
    ["- a\n", /^layer0: a layer is a map of keys/],
    ["a: 1\na: 2\n", /^layer0: .*unique.*line 2/],
    ["{[a]: 1}\n", /^layer0: a key is a word/],
  ])("%j is refused", (text, message) => {
    expect(() => merge(text)).toThrow(message);
  });
});
