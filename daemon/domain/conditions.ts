// Conditions of tasks: whether a step is to be done on its node.
import type { JsonObject } from "@bufbuild/protobuf";
import { compile } from "./expression.ts";

/** Whether a condition holds. Values are those of values.ts. A fault follows `condition EXPRESSION: `. */
export function evaluate(expression: string, values: JsonObject): { value: boolean } | { fault: string } {
  const compiled = compile(expression);
  if ("fault" in compiled) return compiled;
  const run = compiled.run(values);
  if ("fault" in run) return run;
  if (typeof run.result === "boolean") return { value: run.result };
  return { fault: `it gives ${kindOf(run.result)}, and a condition is true or false` };
}

/** What is wrong with an expression, to follow a field's name; nothing if it can be evaluated. */
export function checkExpression(text: string): string | undefined {
  const compiled = compile(text);
  return "fault" in compiled ? compiled.fault : undefined;
}

/** Whether it can only be decided while the deployment runs: it asks for what other tasks have done. */
export function readsRuntime(text: string): boolean {
  const compiled = compile(text);
  if ("fault" in compiled) return false;
  const { reads, fields, asksChanges } = compiled;
  if (asksChanges || reads.has("tasks") || reads.has("deployment")) return true;
  if (reads.has("nodes") && fields.has("tasks")) return true;
  // Where a node can be reached is known once it runs from its own disk.
  return (reads.has("nodes") || reads.has("node")) && fields.has("address");
}

/** Whether it can come out differently on another node. */
export function readsOwnNode(text: string): boolean {
  const compiled = compile(text);
  return !("fault" in compiled) && compiled.reads.has("node");
}

function kindOf(result: unknown): string {
  if (typeof result === "string") return "text";
  if (typeof result === "bigint" || typeof result === "number") return "a number";
  return result === null ? "null" : "no single value";
}
