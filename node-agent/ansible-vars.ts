// What a playbook runs with: an inventory in which the node is in the group of its role, and its extra variables.
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/**
 * YAML. Every text is marked as one that is not a template: it may come from another node, and would be carried out
 * here.
 */
export function extraVariables(values: JsonObject, secrets: Record<string, string>): string {
  return `${unsafe({ ...values, secrets })}\n`;
}

function unsafe(value: JsonValue): string {
  if (typeof value === "string") return `!unsafe ${JSON.stringify(value)}`;
  if (Array.isArray(value)) return `[${value.map(unsafe).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const pairs = Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${unsafe(item)}`);
  return `{${pairs.join(", ")}}`;
}

/** A play may be for `all`, for `localhost`, for the node's name or for its role. */
export function inventory(node: string, role: string): string {
  const host = { [node]: { ansible_connection: "local" } };
  const children = role && role !== node ? { [role.replaceAll("-", "_")]: { hosts: { [node]: {} } } } : {};
  return JSON.stringify({ all: { hosts: host, children } });
}
