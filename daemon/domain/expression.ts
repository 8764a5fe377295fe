// CEL expressions of tasks: parsed once, checked for names that there are not, evaluated over the values of a step.
import { type CelInput, CelScalar, celEnv, celFunc, isCelError, parse, plan } from "@bufbuild/cel";
import { strings } from "@bufbuild/cel/ext";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { hintFor } from "../../proto/manifest/suggest.ts";

type Expr = ReturnType<typeof parse>["expr"];

/** What an expression reads: see docs/tasks.md. */
export const valueNames = [
  "settings",
  "cluster",
  "deployment",
  "node",
  "parameters",
  "roles",
  "tasks",
  "nodes",
] as const;

export type Expression = {
  /** The result, as CEL has it; or why there is none, to follow `the expression`. */
  run(values: JsonObject): { result: unknown } | { fault: string };
  /** Which of valueNames it reads. */
  reads: ReadonlySet<string>;
  /** Fields and constant keys that it asks anything for, such as `tasks` in `nodes[0].tasks`. */
  fields: ReadonlySet<string>;
  /** It calls `changed()`. */
  asksChanges: boolean;
};

/** Nobody writes a longer one by hand. */
const longest = 4000;
const remembered = 1000;
const known = new Map<string, Expression | { fault: string }>();

/** An expression, or what is wrong with it and where, to follow a field's name. */
export function compile(text: string): Expression | { fault: string } {
  const before = known.get(text);
  if (before) return before;
  const compiled = compileAnew(text);
  // The oldest goes: of a running plan, those that are looked at come again and again.
  if (known.size >= remembered) known.delete(known.keys().next().value ?? "");
  known.set(text, compiled);
  return compiled;
}

function compileAnew(text: string): Expression | { fault: string } {
  if (text.length > longest) return { fault: `is longer than ${longest} characters` };
  let current: JsonObject = {};
  const env = celEnv({
    funcs: [
      ...strings,
      celFunc("changed", [CelScalar.STRING], CelScalar.BOOL, (task) => hasChanged(current, task)),
    ],
  });
  try {
    const parsed = parse(text);
    const survey = surveyOf(parsed.expr, (name) => env.funcs.find(name) !== undefined);
    if (survey.faults.length) return { fault: survey.faults.join("; ") };
    const evaluate = plan(env, parsed.expr);
    return {
      ...survey,
      run: (values) => {
        current = values;
        const bound: Record<string, CelInput> = {};
        for (const name of survey.reads) bound[name] = celForm(values[name]);
        const result = evaluate(bound);
        return isCelError(result) ? { fault: explain(result.message) } : { result };
      },
    };
  } catch (error) {
    return { fault: `is not an expression: ${syntaxFault(error)}` };
  }
}

function hasChanged({ tasks }: JsonObject, name: string): boolean {
  const task = asObject(asObject(tasks)[name]);
  return task.outcome === "changed";
}

function asObject(value: JsonValue | undefined): JsonObject {
  return value && typeof value === "object" && !Array.isArray(value) ? value : {};
}

type Survey = { reads: Set<string>; fields: Set<string>; asksChanges: boolean; faults: string[] };

/** What an expression reads and calls. Names that a macro such as `exists(n, ...)` makes are its own. */
function surveyOf(root: Expr, isFunction: (name: string) => boolean): Survey {
  const survey: Survey = { reads: new Set(), fields: new Set(), asksChanges: false, faults: [] };
  const visit = (expr: Expr | undefined, local: readonly string[]): void => {
    const kind = expr?.exprKind;
    switch (kind?.case) {
      case "identExpr": {
        const { name } = kind.value;
        if (local.includes(name)) return;
        if ((valueNames as readonly string[]).includes(name)) survey.reads.add(name);
        else survey.faults.push(`reads \`${name}\`, which there is not${hintFor(name, valueNames)}`);
        return;
      }
      case "selectExpr":
        survey.fields.add(kind.value.field);
        visit(kind.value.operand, local);
        return;
      case "callExpr": {
        const { function: name, target, args } = kind.value;
        if (name === "changed" && !target) survey.asksChanges = true;
        if (/^[a-z]/i.test(name) && !isFunction(name)) {
          survey.faults.push(`calls \`${name}\`, which there is not`);
        }
        if (name === "_[_]") survey.fields.add(constantOf(args[1]));
        for (const part of [target, ...args]) visit(part, local);
        return;
      }
      case "listExpr":
        for (const element of kind.value.elements) visit(element, local);
        return;
      case "structExpr":
        for (const { keyKind, value } of kind.value.entries) {
          if (keyKind.case === "mapKey") visit(keyKind.value, local);
          visit(value, local);
        }
        return;
      case "comprehensionExpr": {
        const { iterVar, iterVar2, accuVar, iterRange, accuInit, loopCondition, loopStep, result } =
          kind.value;
        const inner = [...local, iterVar, iterVar2, accuVar];
        visit(iterRange, local);
        for (const part of [accuInit, loopCondition, loopStep, result]) visit(part, inner);
      }
    }
  };
  visit(root, []);
  return survey;
}

/** The text of a constant key; for a key that is worked out, `tasks`, because it may be that. */
function constantOf(expr: Expr | undefined): string {
  const kind = expr?.exprKind;
  if (kind?.case !== "constExpr") return "tasks";
  const { constantKind } = kind.value;
  return constantKind.case === "stringValue" ? constantKind.value : "";
}

// What many steps share, such as the settings, is turned into CEL's form once.
const forms = new WeakMap<object, CelInput>();

/** Numbers of JSON are whole numbers where they can be: `node.inventory.cpus * 2` is an error with 8.0. */
function celForm(value: JsonValue | undefined): CelInput {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (value === undefined || value === null) return null;
  if (typeof value !== "object") return value;
  const before = forms.get(value);
  if (before !== undefined) return before;
  const form: CelInput = Array.isArray(value)
    ? value.map(celForm)
    : new Map(Object.entries(value).map(([key, item]) => [key, celForm(item)]));
  forms.set(value, form);
  return form;
}

/** The library's sentences, for people who do not know it. */
function explain(message: string): string {
  const field = /^field not found: (.*)$/.exec(message)?.[1];
  if (field !== undefined) return `there is no \`${field}\`: ask with \`has()\` first if it may be missing`;
  return message;
}

function syntaxFault(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const [, line = "1", column = "1", found = ""] = /:(\d+):(\d+): found (.+?) but/.exec(message) ?? [];
  if (!found) return message;
  const place = line === "1" ? `at its character ${column}` : `in its line ${line} at character ${column}`;
  return `${found === "end of input" ? "it ends too early" : `\`${found}\` does not fit`} ${place}`;
}
