// YAQL, as far as Fuel's tasks use it: an expression as a tree.

export type Yaql =
  | { is: "root" }
  | { is: "literal"; value: string | number | boolean | null }
  | { is: "field"; of: Yaql; name: string }
  | { is: "call"; of: Yaql | undefined; name: string; args: Yaql[] }
  | { is: "list"; items: Yaql[] }
  | { is: "not"; of: Yaql }
  | { is: "binary"; operator: string; left: Yaql; right: Yaql };

/** It cannot be read or cannot be said in Muster's words; the message says which part. */
export class NotConvertible extends Error {
  override name = "NotConvertible";
}

type Token = { text: string; kind: "name" | "string" | "number" | "sign" | "end" };

const pattern =
  /\s*(?:('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(\d+(?:\.\d+)?)|([A-Za-z_][\w]*)|(=>|!=|<=|>=|[$.()[\]{},=<>+\-*/]))/y;

export function parseYaql(text: string): Yaql {
  const parser = new Parser(tokensOf(text.trim()));
  const tree = parser.expression();
  parser.end();
  return tree;
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  pattern.lastIndex = 0;
  while (pattern.lastIndex < text.length) {
    const from = pattern.lastIndex;
    const [, string, number, name, sign] = pattern.exec(text) ?? [];
    if (string !== undefined)
      tokens.push({ kind: "string", text: string.slice(1, -1).replace(/\\(.)/g, "$1") });
    else if (number !== undefined) tokens.push({ kind: "number", text: number });
    else if (name !== undefined) tokens.push({ kind: "name", text: name });
    else if (sign !== undefined) tokens.push({ kind: "sign", text: sign });
    else throw new NotConvertible(`\`${text.slice(from, from + 20)}\` cannot be read`);
  }
  return tokens;
}

const comparisons = ["=", "!=", "<", ">", "<=", ">=", "=>"];

class Parser {
  readonly #tokens: Token[];
  #next = 0;

  constructor(tokens: Token[]) {
    this.#tokens = tokens;
  }

  get #token(): Token {
    return this.#tokens[this.#next] ?? { kind: "end", text: "the end" };
  }

  #take(text: string): boolean {
    const { kind } = this.#token;
    if (this.#token.text !== text || (kind !== "sign" && kind !== "name")) return false;
    this.#next++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw new NotConvertible(`\`${text}\` is missing before \`${this.#token.text}\``);
  }

  end(): void {
    if (this.#token.kind !== "end") throw new NotConvertible(`\`${this.#token.text}\` does not fit`);
  }

  expression(): Yaql {
    let left = this.#both();
    while (this.#take("or")) left = { is: "binary", operator: "or", left, right: this.#both() };
    return left;
  }

  #both(): Yaql {
    let left = this.#negation();
    while (this.#take("and")) left = { is: "binary", operator: "and", left, right: this.#negation() };
    return left;
  }

  #negation(): Yaql {
    return this.#take("not") ? { is: "not", of: this.#negation() } : this.#comparison();
  }

  #comparison(): Yaql {
    const left = this.#sum();
    const operator = [...comparisons, "in"].find((one) => this.#take(one));
    return operator ? { is: "binary", operator, left, right: this.#sum() } : left;
  }

  #sum(): Yaql {
    let left = this.#postfix();
    for (let operator = this.#arithmetic(); operator; operator = this.#arithmetic()) {
      left = { is: "binary", operator, left, right: this.#postfix() };
    }
    return left;
  }

  #arithmetic(): string | undefined {
    return ["+", "-", "*", "/"].find((one) => this.#take(one));
  }

  #postfix(): Yaql {
    let value = this.#atom();
    for (;;) {
      if (this.#take(".")) {
        const { text: name } = this.#token;
        this.#next++;
        value = this.#take("(")
          ? { is: "call", of: value, name, args: this.#items(")") }
          : { is: "field", of: value, name };
      } else if (this.#take("[")) {
        value = { is: "call", of: value, name: "[]", args: this.#items("]") };
      } else return value;
    }
  }

  #atom(): Yaql {
    const { kind, text } = this.#token;
    if (this.#take("$")) {
      // `$node` is a variable with a name; `$` alone is what everything is a part of.
      if (this.#token.kind !== "name" || ["and", "or", "in"].includes(this.#token.text))
        return { is: "root" };
      throw new NotConvertible(`\`$${this.#token.text}\` has no counterpart`);
    }
    if (this.#take("(")) {
      const inner = this.expression();
      this.#expect(")");
      return inner;
    }
    if (this.#take("[")) return { is: "list", items: this.#items("]") };
    if (this.#take("{")) return { is: "list", items: this.#items("}") };
    this.#next++;
    if (kind === "string") return { is: "literal", value: text };
    if (kind === "number") return { is: "literal", value: Number(text) };
    if (kind !== "name") throw new NotConvertible(`\`${text}\` does not fit`);
    if (text === "true" || text === "false") return { is: "literal", value: text === "true" };
    if (text === "null" || text === "undef") return { is: "literal", value: null };
    return this.#take("(")
      ? { is: "call", of: undefined, name: text, args: this.#items(")") }
      : { is: "literal", value: text };
  }

  #items(close: string): Yaql[] {
    const items: Yaql[] = [];
    while (!this.#take(close)) {
      items.push(this.expression());
      if (this.#take(close)) break;
      this.#expect(",");
    }
    return items;
  }
}
