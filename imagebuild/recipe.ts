// Reads a recipe and refuses it with file, line and column if anything is wrong with it.
import { readFile } from "node:fs/promises";
import type { RecipeSpec } from "../proto/gen/muster/v1/manifest_pb.ts";
import { decodeManifests, formatFault } from "../proto/manifest/decode.ts";
import { RefusedError } from "./errors.ts";

export async function readRecipe(path: string): Promise<RecipeSpec> {
  const content = await readFile(path, "utf8").catch((cause: Error) => {
    throw new RefusedError(`the recipe ${path} cannot be read: ${cause.message}`, { cause });
  });
  return decodeRecipe(path, content);
}

export function decodeRecipe(path: string, content: string): RecipeSpec {
  const { documents, faults } = decodeManifests([{ path, content }]);
  if (faults.length > 0)
    throw new RefusedError(`the recipe is refused:\n${faults.map(formatFault).join("\n")}`);
  const [document, ...others] = documents;
  const kind = document?.manifest.kind;
  if (!document || others.length > 0 || kind?.case !== "recipe") {
    throw new RefusedError(`${path} should have one document, of \`kind: Recipe\``);
  }
  return kind.value;
}
