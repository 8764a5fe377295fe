// What commands of tasks find in their environment.
import type { JsonValue } from "@bufbuild/protobuf";
import type { StepContext } from "./step.ts";

/** MUSTER_CLUSTER, MUSTER_NODE, MUSTER_ROLE, MUSTER_SETTING_<NAME>, and MUSTER_SECRET_<NAME> of the task's secrets. */
export async function taskEnvironment({
  values,
  secretValues,
}: StepContext): Promise<Record<string, string>> {
  const environment: Record<string, string> = {};
  const set = (name: string, value: JsonValue | undefined) => {
    if (typeof value === "string") environment[`MUSTER_${name.toUpperCase()}`] = value;
  };
  set("cluster", fieldOf(values.cluster, "name"));
  set("node", fieldOf(values.node, "name"));
  set("role", fieldOf(values.node, "role"));
  for (const [name, value] of Object.entries(asObject(values.settings))) set(`setting_${name}`, value);
  for (const [name, value] of Object.entries(await secretValues())) {
    if (value.includes("\0")) {
      throw new Error(`secret ${name} has a NUL byte and fits no environment variable; store it as text`);
    }
    set(`secret_${name}`, value);
  }
  return environment;
}

function fieldOf(value: JsonValue | undefined, name: string): JsonValue | undefined {
  return asObject(value)[name];
}

function asObject(value: JsonValue | undefined): Record<string, JsonValue> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}
