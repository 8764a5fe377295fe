// The data that Puppet code looks up: one `common.yaml` for the node. What comes later wins: everything that templates
// can read, under `muster`; the cluster's settings; the task's parameters; the action's own values.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { parse } from "yaml";

const configuration = {
  version: 5,
  defaults: { datadir: ".", data_hash: "yaml_data" },
  hierarchy: [{ name: "muster", path: "common.yaml" }],
};

/** `own`: YAML. Writes both files below the directory. */
export async function writeHiera(
  directory: string,
  values: JsonObject,
  secrets: Record<string, string>,
  own: string,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const data = {
    muster: { ...values, secrets },
    ...mapOf(values.settings),
    ...mapOf(values.parameters),
    ...ownValues(own),
  };
  // JSON is YAML.
  await writeFile(join(directory, "hiera.yaml"), JSON.stringify(configuration));
  await writeFile(join(directory, "common.yaml"), JSON.stringify(data), { mode: 0o600 });
}

function ownValues(text: string): JsonObject {
  let values: JsonValue;
  try {
    values = parse(text) as JsonValue;
  } catch (error) {
    throw new Error(
      `\`hiera\` is no YAML: ${error instanceof Error ? error.message : error}; mend it in the task`,
    );
  }
  if (values === null || (typeof values === "object" && !Array.isArray(values))) return values ?? {};
  throw new Error("`hiera` is not a map of names to values; write it as `NAME: VALUE` lines");
}

function mapOf(value: JsonValue | undefined): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}
