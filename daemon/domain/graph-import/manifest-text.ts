// What has been imported, as the YAML of a manifest file.
import { stringify } from "yaml";
import type { Imported, ImportedDocument } from "./imported.ts";

const width = 110;

export function manifestText(
  { documents, remarks }: Pick<Imported, "documents" | "remarks">,
  source: string,
): string {
  const head = [`Imported from ${source}.`, ...remarks].map(comment).join("");
  return `${head}${documents.map(documentText).join("---\n")}`;
}

function documentText({ kind, comments, spec }: ImportedDocument): string {
  return `${comments.map(comment).join("")}${stringify({ kind, ...spec }, { lineWidth: width, aliasDuplicateObjects: false })}`;
}

function comment(text: string): string {
  return `${text
    .split("\n")
    .flatMap((line) => wrapped(line))
    .map((line) => `# ${line}`)
    .join("\n")}\n`;
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line && line.length + word.length + 1 > width - 2) {
      lines.push(line);
      line = "";
    }
    line = line ? `${line} ${word}` : word;
  }
  return [...lines, line];
}
