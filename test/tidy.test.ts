// Reads the source tree and holds it to the rules that no other tool knows.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const root = path.join(import.meta.dirname, "..");
const lineLimit = 350;
const rooms = ["daemon", "node-agent", "imagebuild", "tui"];

type Source = { file: string; text: string; imports: string[] };

// Generated and vendored files follow their makers' rules.
const foreign = /^proto\/(gen|buf|google)\/|^package-lock\.json$/;

const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((file) => file && !foreign.test(file) && existsSync(path.join(root, file)));

const sources: Source[] = files
  .filter((file) => /\.(ts|tsx|mjs)$/.test(file))
  .map((file) => {
    const text = readFileSync(path.join(root, file), "utf8");
    return { file, text, imports: importsOf(file, text) };
  });

/** What a file imports: paths from the root for the tree's own files, names for packages. */
function importsOf(file: string, text: string): string[] {
  const found = text.matchAll(/(?:^|[\s;])(?:from|import)\s*\(?\s*"([^"\n]+)"/g);
  return [...found].map(([, name = ""]) =>
    name.startsWith(".") ? path.join(path.dirname(file), name) : name,
  );
}

const roomOf = (file: string) => file.split("/")[0] ?? "";
const isTest = (file: string) =>
  roomOf(file) === "test" || /\.test\.tsx?$/.test(file) || file.includes("/testing/");

/** `FILE: IMPORT` for every import that breaks the rule. */
function breaches(rule: (file: string, imported: string) => boolean): string[] {
  return sources.flatMap(({ file, imports }) =>
    imports.filter((imported) => rule(file, imported)).map((imported) => `${file}: ${imported}`),
  );
}

/** `FILE:LINE: TEXT` for every line that matches. */
function linesMatching(pattern: RegExp, exempt: (file: string) => boolean = () => false): string[] {
  return sources
    .filter(({ file }) => !exempt(file))
    .flatMap(({ file, text }) =>
      text.split("\n").flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : [])),
    );
}

describe("rooms", () => {
  it("are found at all", () => {
    for (const room of [...rooms, "proto", "test"])
      expect(sources.some(({ file }) => roomOf(file) === room)).toBe(true);
  });

  it("never import one another", () => {
    const crosses = (file: string, imported: string) =>
      roomOf(file) !== "test" && roomOf(imported) !== roomOf(file) && rooms.includes(roomOf(imported));
    expect(breaches(crosses)).toEqual([]);
  });

  it("do not import tests", () => {
    expect(breaches((file, imported) => roomOf(imported) === "test" && roomOf(file) !== "test")).toEqual([]);
  });

  it("serve images by themselves: daemon/delivery knows of the daemon only its drivers", () => {
    const allowed = /^(?:daemon\/(?:delivery|drivers)\/|proto\/)/;
    const crosses = (file: string, imported: string) =>
      file.startsWith("daemon/delivery/") &&
      imported.includes("/") &&
      roomOf(imported) === "daemon" &&
      !allowed.test(imported);
    expect(breaches(crosses)).toEqual([]);
  });

  it("decide without doing: daemon/domain knows no files, processes, networks or timers", () => {
    const effects =
      /^(?:node:(?:fs|child_process|net|tls|http|https|http2|dgram|dns|timers|os)|@grpc\/|execa|classic-level)/;
    const impure = (file: string, imported: string) =>
      file.startsWith("daemon/domain/") && !isTest(file) && effects.test(imported);
    expect(breaches(impure)).toEqual([]);
  });

  it("start processes only where it is their job", () => {
    const allowed = /^(?:node-agent\/(?:runner|commands)\.ts$|imagebuild\/|daemon\/drivers\/|test\/)/;
    const starts = (file: string, imported: string) =>
      /^(?:node:child_process|execa)$/.test(imported) && !allowed.test(file) && !isTest(file);
    expect(breaches(starts)).toEqual([]);
  });
});

describe("files", () => {
  it(`have at most ${lineLimit} lines`, () => {
    const long = sources.map(({ file, text }) => ({ file, lines: text.split("\n").length - 1 }));
    expect(long.filter(({ lines }) => lines > lineLimit)).toEqual([]);
  });

  it("are no barrels", () => {
    expect(linesMatching(/^\s*export \*/)).toEqual([]);
  });

  it("leave nothing for later and leave no test out", () => {
    expect(linesMatching(/\b(?:TO)DO\b|\b(?:FIX)ME\b|\.(?:only|skip|todo)\(/)).toEqual([]);
  });

  it("hide nothing from the type checker", () => {
    expect(linesMatching(/@ts-(?:ignore|nocheck|expect-error)|\bas any\b|<any[>]/)).toEqual([]);
    // A test may pass a part of a thing for the whole.
    expect(linesMatching(/\bas unknown as\b/, isTest)).toEqual([]);
  });

  it("know no machine but the one they run on", () => {
    const own = /["'`\s(](?:\/(?:work|farm|Users)\/|\/home\/[a-z])/;
    const broken = files.flatMap((file) => {
      const lines = readFileSync(path.join(root, file), "utf8").split("\n");
      return lines.flatMap((line, i) => (own.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : []));
    });
    expect(broken).toEqual([]);
  });
});
