// The grammar of Ironic's root device hints: an operator and what it compares with. Which operators a hint may
// have depends on whether it is text, a number or true-or-false. Text is compared as Ironic does: in lower case and
// with everything but letters, digits and `_.-~/` escaped as in a URL, on both sides.

export type HintKind = "text" | "number" | "flag";
export type Comparison = "=" | "==" | "!=" | ">=" | ">" | "<=" | "<";

export type Test =
  | { kind: "number"; operator: Comparison; operand: number }
  | { kind: "text"; operator: Comparison; operand: string }
  | { kind: "contains"; all: string[] }
  | { kind: "or"; any: string[] }
  | { kind: "or-number"; any: number[] }
  | { kind: "range"; from: number; to: number; openStart: boolean; openEnd: boolean }
  | { kind: "glob"; pattern: RegExp }
  | { kind: "flag"; value: boolean };

export type ParsedHint = { ok: true; test: Test } | { ok: false; message: string };

const truths = new Map([
  ...["true", "yes", "on", "1", "t", "y"].map((word) => [word, true] as const),
  ...["false", "no", "off", "0", "f", "n"].map((word) => [word, false] as const),
]);

const operators =
  /^(s==|s!=|s>=|s<=|s>|s<(?!\w+>)|==|!=|>=|<=|=|>|<(?!in>|or>|all-in>|range-in>|glob>)|<in>|<or>|<all-in>|<range-in>|<glob>)?\s*(.*)$/s;

export function parseHint(kind: HintKind, expression: string): ParsedHint {
  const text = expression.trim();
  const no = (message: string): ParsedHint => ({ ok: false, message: `${message}; found \`${expression}\`` });
  if (kind === "flag") {
    const value = truths.get(text.toLowerCase());
    return value === undefined ? no("is true or false") : { ok: true, test: { kind: "flag", value } };
  }
  const [, operator = "", rest = ""] = operators.exec(text) ?? [];
  const operand = rest.trim();
  if (!operand) return no("has nothing to compare with");
  return kind === "number" ? parseNumeric(operator, operand, no) : parseText(operator, operand, no);
}

/** Text as it is compared. */
export function escapeText(text: string): string {
  return encodeURIComponent(text.trim().toLowerCase())
    .replaceAll("%2F", "/")
    .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

type Refuse = (message: string) => ParsedHint;

function parseNumeric(operator: string, operand: string, no: Refuse): ParsedHint {
  if (operator === "<or>") {
    const any = split(operand, "<or>");
    if (!any.every(isPositive)) return no("has a number after each <or>");
    return { ok: true, test: { kind: "or-number", any: any.map(Number) } };
  }
  if (operator === "<range-in>") return parseRange(operand, no);
  if (/^(?:<(?:in|all-in|glob)>|s.*)$/.test(operator)) {
    return no(
      `is a number of GiB, which \`${operator}\` does not compare; use = == != >= > <= < <or> or <range-in>`,
    );
  }
  if (!isPositive(operand)) return no("is a number of GiB, such as 100 or >= 100");
  return { ok: true, test: { kind: "number", operator: comparisonOf(operator), operand: Number(operand) } };
}

// Without an operator Ironic wants the exact value; its `=` means at least.
function comparisonOf(operator: string): Comparison {
  return (operator || "==") as Comparison;
}

function parseText(operator: string, operand: string, no: Refuse): ParsedHint {
  switch (operator) {
    case "<in>":
      return { ok: true, test: { kind: "contains", all: [escapeText(firstOf(operand, operator))] } };
    case "<all-in>":
      return { ok: true, test: { kind: "contains", all: operand.split(/\s+/).map(escapeText) } };
    case "<or>":
      return { ok: true, test: { kind: "or", any: split(operand, "<or>").map(escapeText) } };
    case "<glob>":
      return { ok: true, test: { kind: "glob", pattern: globPattern(operand) } };
    case "<range-in>":
      return no("is text, which `<range-in>` does not compare; use s>= and s<=");
    case "":
      return { ok: true, test: { kind: "text", operator: "==", operand: escapeText(operand) } };
  }
  const value = firstOf(operand, operator);
  if (operator.startsWith("s")) {
    const comparison = operator.slice(1) as Comparison;
    return { ok: true, test: { kind: "text", operator: comparison, operand: escapeText(value) } };
  }
  // A serial may be a number, and Ironic compares it as one then.
  if (isNumber(value))
    return { ok: true, test: { kind: "number", operator: comparisonOf(operator), operand: Number(value) } };
  return no(
    `is text, which \`${operator}\` does not compare; use s== s!= s>= s> s<= s< <in> <all-in> <or> or <glob>`,
  );
}

// Ironic reads no further than to the operator's next mention.
function firstOf(operand: string, operator: string): string {
  return operand.split(operator)[0]?.trim() || operand;
}

/** `*` is any text, `?` any one character, `[abc]` one of these. */
function globPattern(glob: string): RegExp {
  const source = glob
    .toLowerCase()
    .replace(/[.+^${}()|\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".")
    .replace(/\[!/g, "[^");
  // A bracket that is never closed stands for itself.
  const closed = /^(?:[^[\]]|\[[^[\]]+\])*$/.test(source);
  return new RegExp(`^${closed ? source : source.replace(/[[\]]/g, "\\$&")}$`, "s");
}

function parseRange(operand: string, no: Refuse): ParsedHint {
  const match = /^([[(])\s*(\d+(?:\.\d+)?)[\s,]+(\d+(?:\.\d+)?)\s*([\])])$/.exec(operand);
  if (!match) return no("has a range such as <range-in> [ 10 20 ] or ( 10 20 )");
  const [, start, from, to, end] = match;
  const range = { from: Number(from), to: Number(to), openStart: start === "(", openEnd: end === ")" };
  if (range.from > range.to) return no("has a range that ends before it starts");
  return { ok: true, test: { kind: "range", ...range } };
}

function split(text: string, separator: string): string[] {
  return text
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function isNumber(text: string): boolean {
  return /^[+-]?\d+(\.\d+)?$/.test(text);
}

function isPositive(text: string): boolean {
  return /^\d+(\.\d+)?$/.test(text) && Number(text) > 0;
}
