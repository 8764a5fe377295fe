// The facts that a command writes into a file: a JSON object, or lines of KEY=VALUE.
import { readFile } from "node:fs/promises";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** Before it is read: what the facts may have as a whole is looked at with the result. */
const readLimit = 4 << 20;

/** Undefined if nothing was written. */
export async function readFacts(path: string): Promise<JsonObject | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  if (!text.trim()) return undefined;
  if (text.length > readLimit)
    throw new Error(`$MUSTER_FACTS has ${text.length} bytes, and that is too much`);
  return text.trimStart().startsWith("{") ? objectOf(text) : linesOf(text);
}

function objectOf(text: string): JsonObject {
  try {
    return JSON.parse(text) as JsonObject;
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    throw new Error(`$MUSTER_FACTS begins like a JSON object, but is none: ${why}`);
  }
}

function linesOf(text: string): JsonObject {
  const facts: Record<string, JsonValue> = {};
  for (const [index, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    const [, name, value] = /^\s*([A-Za-z_]\w*)=(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw new Error(
        `$MUSTER_FACTS, line ${index + 1}: write KEY=VALUE, or the whole file as a JSON object`,
      );
    }
    facts[name] = value;
  }
  return facts;
}
