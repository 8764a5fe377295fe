// The grammar of Ironic's root device hints: an operator and what it compares with. Which operators a hint may
// have depends on whether it is text, a number or true-or-false.

export type HintKind = "text" | "number" | "flag";
export type Comparison = "=" | "==" | "!=" | ">=" | ">" | "<=" | "<";

export type Test =
  | { kind: "number"; operator: Comparison; operand: number }
  | { kind: "text"; operator: Comparison; operand: string }
  | { kind: "contains"; all: string[] }
  | { kind: "or"; any: string[] }
  | { kind: "or-number"; any: number[] }
  | { kind: "range"; from: number; to: number; openStart: boolean; openEnd: boolean }
  | { kind: "flag"; value: boolean };

export type ParsedHint = { ok: true; test: Test } | { ok: false; message: string };

const truths = new Map([
  ...["true", "yes", "on", "1", "t", "y"].map((word) => [word, true] as const),
  ...["false", "no", "off", "0", "f", "n"].map((word) => [word, false] as const),
]);

export function parseHint(kind: HintKind, expression: string): ParsedHint {
  const text = expression.trim();
  const no = (message: string): ParsedHint => ({ ok: false, message: `${message}; found \`${expression}\`` });
  if (kind === "flag") {
    const value = truths.get(text.toLowerCase());
    return value === undefined ? no("is true or false") : { ok: true, test: { kind: "flag", value } };
  }
  const [, operator = "", rest = ""] =
    /^(s==|s!=|s>=|s<=|s>|s<|==|!=|>=|<=|=|>|<(?!in>|or>|all-in>|range-in>)|<in>|<or>|<all-in>|<range-in>)?\s*(.*)$/s.exec(
      text,
    ) ?? [];
  const operand = rest.trim();
  if (!operand) return no("has nothing to compare with");
  return kind === "number" ? parseNumeric(operator, operand, no) : parseText(operator, operand, no);
}

type Refuse = (message: string) => ParsedHint;

function parseNumeric(operator: string, operand: string, no: Refuse): ParsedHint {
  if (operator === "<or>") {
    const any = split(operand, "<or>");
    if (!any.every(isNumber)) return no("has a number after each <or>");
    return { ok: true, test: { kind: "or-number", any: any.map(Number) } };
  }
  if (operator === "<range-in>") return parseRange(operand, no);
  if (operator === "<in>" || operator === "<all-in>" || operator.startsWith("s")) {
    return no(
      `is a number of GiB, which \`${operator}\` does not compare; use = == != >= > <= < <or> or <range-in>`,
    );
  }
  if (!isNumber(operand)) return no("is a number of GiB, such as 100 or >= 100");
  // Without an operator Ironic wants the exact size; its `=` means at least.
  const comparison = (operator || "==") as Comparison;
  return { ok: true, test: { kind: "number", operator: comparison, operand: Number(operand) } };
}

function parseText(operator: string, operand: string, no: Refuse): ParsedHint {
  const text = operand.toLowerCase();
  switch (operator) {
    case "<in>":
      return { ok: true, test: { kind: "contains", all: [text] } };
    case "<all-in>":
      return { ok: true, test: { kind: "contains", all: text.split(/\s+/) } };
    case "<or>":
      return { ok: true, test: { kind: "or", any: split(text, "<or>") } };
    case "":
      return { ok: true, test: { kind: "text", operator: "==", operand: text } };
  }
  if (operator.startsWith("s")) {
    return { ok: true, test: { kind: "text", operator: operator.slice(1) as Comparison, operand: text } };
  }
  return no(
    `is text, which \`${operator}\` does not compare; use s== s!= s>= s> s<= s< <in> <all-in> or <or>`,
  );
}

function parseRange(operand: string, no: Refuse): ParsedHint {
  const match = /^([[(])\s*(\d+(?:\.\d+)?)[\s,]+(\d+(?:\.\d+)?)\s*([\])])$/.exec(operand);
  if (!match) return no("has a range such as <range-in> [ 10 20 ] or ( 10 20 )");
  const [, start, from, to, end] = match;
  const test = {
    kind: "range",
    from: Number(from),
    to: Number(to),
    openStart: start === "(",
    openEnd: end === ")",
  };
  return test.from > test.to
    ? no("has a range that ends before it starts")
    : { ok: true, test: test as Test };
}

function split(text: string, separator: string): string[] {
  return text.split(separator).map((part) => part.trim());
}

function isNumber(text: string): boolean {
  return /^\d+(\.\d+)?$/.test(text);
}
