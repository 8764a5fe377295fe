// Layers of INI files merged as Kolla does it with oslo.config's parser: a key of a later layer takes the place of all
// that earlier ones have said of it in that section; a key that one layer gives several times keeps all its values; a
// value goes on in lines that are indented; comments are left out.

/** Values of a key, each with the lines that it has. */
type Section = Map<string, string[][]>;
type Layer = { name: string; text: string };

/** Keys before any section. */
const orphans = "";

/** Throws with layer and line. */
export function mergeIni(layers: readonly Layer[]): string {
  const merged = new Map<string, Section>([[orphans, new Map()]]);
  for (const layer of layers) {
    for (const [name, section] of parse(layer)) {
      const into = merged.get(name) ?? new Map();
      merged.set(name, into);
      for (const [key, values] of section) into.set(key, values);
    }
  }
  return [...merged].map(([name, section]) => writtenSection(name, section)).join("");
}

function parse({ name, text }: Layer): Map<string, Section> {
  const sections = new Map<string, Section>();
  let section: Section | undefined;
  let lines: string[] | undefined;
  const open = (title: string) => {
    const opened = sections.get(title) ?? new Map();
    sections.set(title, opened);
    return opened;
  };
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trimEnd();
    const fault = (what: string) => new Error(`${name}, line ${index + 1}: ${what}: \`${line}\``);
    if (!line) lines = undefined;
    else if (/^[ \t]/.test(line)) {
      if (!lines) throw fault("an indented line goes on with a value, and there is none before it");
      lines.push(line.trim());
    } else if (line.startsWith("[")) {
      lines = undefined;
      const [, title] = /^\[(.+)\]$/.exec(line) ?? [];
      if (title === undefined) throw fault("a section is [NAME]");
      section = open(title);
    } else if (/^[#;]/.test(line)) lines = undefined;
    else {
      const [, key = "", value = ""] = /^([^=:]*)[=:](.*)$/.exec(line) ?? [];
      if (!key.trim()) throw fault("it is neither a section nor KEY = VALUE");
      section ??= open(orphans);
      lines = [unquoted(value.trim())];
      const values = section.get(key.trim()) ?? [];
      values.push(lines);
      section.set(key.trim(), values);
    }
  }
  return sections;
}

/** oslo.config reads a value in quotes as what is between them. */
function unquoted(value: string): string {
  const [, , inner] = /^(["'])(.*)\1$/.exec(value) ?? [];
  return inner ?? value;
}

function writtenSection(name: string, section: Section): string {
  if (name === orphans && !section.size) return "";
  const title = name === orphans ? "" : `[${name}]\n`;
  const keys = [...section].flatMap(([key, values]) => values.map((lines) => writtenValue(key, lines)));
  return `${title}${keys.join("")}\n`;
}

function writtenValue(key: string, lines: readonly string[]): string {
  const [first = "", ...rest] = lines;
  const indent = " ".repeat(key.length + 3);
  return `${`${key} = ${first}`.trimEnd()}\n${rest.map((line) => `${indent}${line}\n`).join("")}`;
}
