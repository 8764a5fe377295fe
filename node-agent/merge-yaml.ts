// Layers of YAML files merged as Kolla does it: maps key by key, whatever else a later layer says takes the place of what
// was before. Numbers, words and quotes stay as they are written, so that whoever reads the result understands it as
// it would have understood the layers. Comments are left out, anchors and merge keys are resolved.
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Pair,
  parseDocument,
  Scalar,
  stringify,
  YAMLMap,
  YAMLSeq,
} from "yaml";

type Layer = { name: string; text: string };
type Plain = Scalar | YAMLMap<Scalar, Plain> | YAMLSeq<Plain>;

/** Anchors within anchors grow without bound. */
const nodeLimit = 1_000_000;

/** Throws with layer and line. */
export function mergeYaml(layers: readonly Layer[]): string {
  let merged = new YAMLMap<Scalar, Plain>();
  for (const layer of layers) {
    const content = contentOf(layer);
    if (content) merged = mergedMap(merged, content);
  }
  return stringify(merged, { schema: "failsafe", lineWidth: 0 });
}

/** Undefined if it has nothing but comments. */
function contentOf({ name, text }: Layer): YAMLMap<Scalar, Plain> | undefined {
  // Every plain word is a string to this schema, and is written as it was.
  const document = parseDocument(text, { schema: "failsafe", prettyErrors: true });
  const [error] = document.errors;
  if (error) throw new Error(`${name}: ${error.message.split("\n")[0]?.replace(/:$/, "")}`);
  if (document.contents === null) return undefined;
  if (isScalar(document.contents) && document.contents.value === "") return undefined;
  const plain = new Plainer(document, name).plain(document.contents);
  if (!isMap<Scalar, Plain>(plain)) throw new Error(`${name}: a layer is a map of keys, and this one is not`);
  return plain;
}

/** Copies nodes without what only their own document understands. */
class Plainer {
  readonly #document: Document;
  readonly #name: string;
  #count = 0;

  constructor(document: Document, name: string) {
    this.#document = document;
    this.#name = name;
  }

  plain(node: unknown): Plain {
    if (++this.#count > nodeLimit) throw new Error(`${this.#name}: its anchors make it too large`);
    if (isAlias(node)) return this.plain(node.resolve(this.#document));
    if (isMap(node)) return this.#map(node);
    if (isSeq(node)) {
      const list = new YAMLSeq<Plain>();
      list.items = node.items.map((item) => this.plain(item));
      return list;
    }
    const scalar = new Scalar(isScalar(node) ? node.value : "");
    if (isScalar(node)) {
      scalar.type = node.type;
      scalar.tag = node.tag;
    }
    return scalar;
  }

  #map(node: YAMLMap): YAMLMap<Scalar, Plain> {
    const map = new YAMLMap<Scalar, Plain>();
    let inherited = new YAMLMap<Scalar, Plain>();
    for (const { key, value } of node.items) {
      const name = this.plain(key);
      if (!isScalar(name)) throw new Error(`${this.#name}: a key is a word, and one is a list or a map`);
      const plain = this.plain(value);
      if (name.value !== "<<") map.items.push(new Pair(name, plain));
      else
        for (const parent of isSeq<Plain>(plain) ? plain.items : [plain])
          inherited = this.#inherit(inherited, parent);
    }
    return inherited.items.length ? overlaid(inherited, map) : map;
  }

  /** What is inherited first wins. */
  #inherit(known: YAMLMap<Scalar, Plain>, parent: Plain): YAMLMap<Scalar, Plain> {
    if (!isMap<Scalar, Plain>(parent)) throw new Error(`${this.#name}: << takes a map or a list of maps`);
    return overlaid(parent, known);
  }
}

/** `upper` wins, key by key, but not within them. */
function overlaid(lower: YAMLMap<Scalar, Plain>, upper: YAMLMap<Scalar, Plain>): YAMLMap<Scalar, Plain> {
  return combined(lower, upper, (_, value) => value);
}

function mergedMap(lower: YAMLMap<Scalar, Plain>, upper: YAMLMap<Scalar, Plain>): YAMLMap<Scalar, Plain> {
  return combined(lower, upper, (before, value) =>
    isMap<Scalar, Plain>(before) && isMap<Scalar, Plain>(value) ? mergedMap(before, value) : value,
  );
}

function combined(
  lower: YAMLMap<Scalar, Plain>,
  upper: YAMLMap<Scalar, Plain>,
  choose: (before: Plain, value: Plain) => Plain,
): YAMLMap<Scalar, Plain> {
  const values = new Map<unknown, Pair<Scalar, Plain>>();
  for (const pair of lower.items) values.set(pair.key.value, pair);
  for (const { key, value } of upper.items) {
    const before = values.get(key.value);
    const chosen = before?.value && value ? choose(before.value, value) : value;
    values.set(key.value, new Pair(before?.key ?? key, chosen));
  }
  const map = new YAMLMap<Scalar, Plain>();
  map.items = [...values.values()];
  return map;
}
