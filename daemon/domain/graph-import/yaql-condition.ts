// Fuel's conditions as CEL. What Fuel asks by `changed(...)`, Muster knows by itself: a task that has succeeded is done
// again only when it has changed. So where such a question lets a task run, it counts as true, and `reexecute_on` says
// what it was about.
import { NotConvertible, parseYaql, type Yaql } from "./yaql.ts";

export type Condition = {
  /** Empty: always. */
  expression: string;
  /** What `changed(...)` asked for, as `reexecute_on` has it. */
  reexecuteOn: Set<"settings" | "nodes">;
  /** Settings that it reads. */
  settings: Set<string>;
};

type Context = Omit<Condition, "expression"> & {
  /** It lets the task run where it is true; otherwise it is below a `not`. */
  positive: boolean;
  /** The names of Muster's roles for one of Fuel's. */
  roles: (name: string) => string[];
};

/** Throws NotConvertible. */
export function conditionOf(text: string, roles: Context["roles"]): Condition {
  const context: Context = { positive: true, reexecuteOn: new Set(), settings: new Set(), roles };
  const cel = toCel(parseYaql(text), context);
  const { reexecuteOn, settings } = context;
  // What begins with a bracket ends with the same one.
  const bare = cel.startsWith("(") ? cel.slice(1, -1) : cel;
  return { expression: bare === "true" ? "" : bare, reexecuteOn, settings };
}

/** The words before YAQL: `settings:storage.images_ceph.value == true and cluster:mode != 'ha'`. */
export function legacyToYaql(text: string): string {
  const other = /\b(release|version|networking_parameters|default):[\w.]+/.exec(text);
  if (other) throw new NotConvertible(`\`${other[0]}\` has no counterpart`);
  return text
    .replaceAll(/\bsettings:additional_components\.(\w+)(?:\.value)?/g, "$.$1.enabled")
    .replaceAll(/\bsettings:common\./g, "settings:")
    .replaceAll(/\b(?:settings|cluster):([\w.]+)/g, (_, path: string) => `$.${path.replace(/\.value$/, "")}`)
    .replaceAll("==", "=");
}

function toCel(expr: Yaql, context: Context): string {
  switch (expr.is) {
    case "literal":
      if (typeof expr.value === "boolean") return String(expr.value);
      throw new NotConvertible(`\`${expr.value}\` is neither true nor false`);
    case "not":
      return negated(toCel(expr.of, { ...context, positive: !context.positive }));
    case "binary":
      return binaryToCel(expr, context);
    case "call":
      if (expr.name === "changed" || expr.name === "changedAny") return changedToCel(expr.args, context);
      if (expr.name === "bool" && expr.args[0]) return toCel(expr.args[0], context);
      if (expr.name === "any") return anyRoleToCel(expr);
      return settingIs(expr, `== "true"`, context, fallbackOf(expr) === true);
    case "field":
      return settingIs(expr, `== "true"`, context, fallbackOf(expr) === true);
    default:
      throw new NotConvertible(`${say(expr)} is neither true nor false`);
  }
}

function binaryToCel({ operator, left, right }: Yaql & { is: "binary" }, context: Context): string {
  if (operator === "and" || operator === "or") {
    return joined(operator, toCel(left, context), toCel(right, context));
  }
  if (operator === "in") return membership(left, right, context);
  if (left.is === "call" && left.name === "len" && right.is === "literal" && right.value === 0) {
    if (operator !== ">") throw new NotConvertible(`${say(left)} is only compared with \`> 0\``);
    return settingIs(left.args[0] ?? { is: "root" }, `!= ""`, context);
  }
  if (right.is !== "literal") throw new NotConvertible(`${say(right)} is no constant`);
  const sign = operator === "=" ? "==" : operator;
  if (sign !== "==" && sign !== "!=") throw new NotConvertible(`settings are text, and have no \`${sign}\``);
  if (right.value === null) {
    const there = settingIs(left, "", context);
    return sign === "==" ? negated(there) : there;
  }
  const wanted = String(right.value);
  const same = settingIs(left, `== ${JSON.stringify(wanted)}`, context, String(fallbackOf(left)) === wanted);
  return sign === "==" ? same : negated(same);
}

/** `'controller' in $.roles`, or `$.uid in added($.nodes).uid`: a node that is new. */
function membership(left: Yaql, right: Yaql, context: Context): string {
  const added = right.is === "field" ? right.of : right;
  if (added.is === "call" && added.name === "added") {
    if (!context.positive) throw new NotConvertible("`added(...)` below a `not` has no counterpart");
    return "true";
  }
  const path = right.is === "field" && right.of.is === "root" ? right.name : "";
  if (path !== "roles" && path !== "node_roles")
    throw new NotConvertible(`\`in ${say(right)}\` has no counterpart`);
  if (left.is !== "literal") throw new NotConvertible(`${say(left)} is no constant`);
  return context
    .roles(String(left.value))
    .map((role) => `node.role == ${JSON.stringify(role)}`)
    .reduce((all, one) => joined("or", all, one));
}

/** `$.roles.any($.matches('^mongo'))`. */
function anyRoleToCel({ of, args: [test] }: Yaql & { is: "call" }): string {
  const roles =
    of?.is === "field" && of.of.is === "root" && (of.name === "roles" || of.name === "node_roles");
  const regex = test?.is === "call" && test.name === "matches" ? test.args[0] : undefined;
  if (!roles || regex?.is !== "literal")
    throw new NotConvertible(`\`any(...)\` of ${say(of)} has no counterpart`);
  return `node.role.matches(${JSON.stringify(regex.value)})`;
}

function changedToCel(args: Yaql[], context: Context): string {
  if (!context.positive) throw new NotConvertible("`changed(...)` below a `not` has no counterpart");
  for (const arg of args) for (const what of aboutWhat(arg)) context.reexecuteOn.add(what);
  return "true";
}

const ofNodes = ["network_metadata", "nodes"];
/** The node's own, which never change while it is what it is. */
const ofNode = ["roles", "uid", "fqdn", "node_roles"];

function aboutWhat(expr: Yaql): ("settings" | "nodes")[] {
  switch (expr.is) {
    case "root":
      return ["settings", "nodes"];
    case "literal":
      return [];
    case "field":
      return expr.of.is === "root" ? aboutRoot(expr.name) : aboutWhat(expr.of);
    case "call": {
      const [first] = expr.args;
      if (expr.of?.is === "root" && expr.name === "get" && first?.is === "literal")
        return aboutRoot(String(first.value));
      return expr.of && expr.of.is !== "root" ? aboutWhat(expr.of) : expr.args.flatMap(aboutWhat);
    }
    case "not":
      return aboutWhat(expr.of);
    case "binary":
      return [...aboutWhat(expr.left), ...aboutWhat(expr.right)];
    case "list":
      return expr.items.flatMap(aboutWhat);
  }
}

function aboutRoot(name: string): ("settings" | "nodes")[] {
  if (ofNode.includes(name)) return [];
  return [ofNodes.includes(name) ? "nodes" : "settings"];
}

/** A question about a setting; `missing` is the answer where it is not there. */
function settingIs(expr: Yaql, test: string, context: Context, missing = false): string {
  const path = pathOf(expr);
  const [root = ""] = path;
  if ([...ofNodes, ...ofNode, "provision", "network_scheme"].includes(root)) {
    throw new NotConvertible(`\`$.${path.join(".")}\` is no setting, and has no counterpart`);
  }
  const name = path
    .join("_")
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]/g, "_");
  context.settings.add(name);
  if (!test) return `has(settings.${name})`;
  const [there, sign] = missing ? ["!has", "||"] : ["has", "&&"];
  return `(${there}(settings.${name}) ${sign} settings.${name} ${test})`;
}

/** What stands for a setting that is not there; null if nothing does. */
function fallbackOf(expr: Yaql): string | number | boolean | null {
  const fallback = expr.is === "call" && expr.name === "get" ? expr.args[1] : undefined;
  return fallback?.is === "literal" ? fallback.value : null;
}

/** `$.a.get('b', {}).c` is a, b, c. */
function pathOf(expr: Yaql): string[] {
  if (expr.is === "field") return [...(expr.of.is === "root" ? [] : pathOf(expr.of)), expr.name];
  const [key] = expr.is === "call" && expr.name === "get" ? expr.args : [];
  if (expr.is !== "call" || !expr.of || key?.is !== "literal")
    throw new NotConvertible(`${say(expr)} has no counterpart`);
  return [...(expr.of.is === "root" ? [] : pathOf(expr.of)), String(key.value)];
}

function negated(cel: string): string {
  if (cel === "true") return "false";
  return cel === "false" ? "true" : `!${/^(?:has)?\(/.test(cel) ? cel : `(${cel})`}`;
}

function joined(operator: "and" | "or", left: string, right: string): string {
  const [decides, neutral, sign] = operator === "and" ? ["false", "true", "&&"] : ["true", "false", "||"];
  if (left === decides || right === decides) return decides;
  if (left === neutral) return right;
  return right === neutral ? left : `(${left} ${sign} ${right})`;
}

/** A part of an expression, for people. */
function say(expr: Yaql | undefined): string {
  switch (expr?.is) {
    case "root":
      return "`$`";
    case "literal":
      return `\`${expr.value}\``;
    case "field":
      return `\`.${expr.name}\``;
    case "call":
      return `\`${expr.name}(...)\``;
    default:
      return "a part of it";
  }
}
