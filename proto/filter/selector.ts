// What `-l` takes: a filter of nodes, or a list of their names such as `n[1-20]`. A single word is a name here, never
// a search: who says `-l n1` does not mean n10.
import { hintFor } from "../manifest/suggest.ts";
import { type Fields, parseFilter } from "./filter.ts";
import { FilterError } from "./filter-error.ts";
import { expandNodes, isNodeList } from "./node-list.ts";

/** Every node. */
export const everyNode = "*";

/**
 * The nodes that pass all of the selectors, in their given order. Throws FilterError, also for a list with a name
 * that no node has.
 */
export function selectNodes<N extends { name: string }>(
  selectors: readonly string[],
  nodes: readonly N[],
  fields: Fields<N>,
): N[] {
  const tests = selectors.map((selector) => testOf(selector.trim(), nodes, fields));
  return nodes.filter((node) => tests.every((test) => test(node)));
}

/** The same as one filter, for a list call; a name that no node has is not found out by it. */
export function selectorFilter(selectors: readonly string[]): string {
  return selectors.map((each) => filterOf(each.trim())).join(" and ");
}

function filterOf(selector: string): string {
  if (!selector) throw nothing();
  if (!isNodeList(selector)) return `(${selector})`;
  const names = expandNodes(selector);
  return names.length === 1 ? `name = "${names[0]}"` : selector;
}

function testOf<N extends { name: string }>(
  selector: string,
  nodes: readonly N[],
  fields: Fields<N>,
): (node: N) => boolean {
  if (!selector) throw nothing();
  if (!isNodeList(selector)) return parseFilter(selector, fields).passes;
  const wanted = new Set(expandNodes(selector));
  const known = new Set(nodes.map(({ name }) => name));
  const unknown = [...wanted].find((name) => !known.has(name));
  if (unknown !== undefined) {
    const names = [...known];
    throw new FilterError(`there is no node \`${unknown}\`${hintFor(unknown, names, names.slice(0, 10))}`);
  }
  return ({ name }) => wanted.has(name);
}

function nothing(): FilterError {
  return new FilterError(`nothing is chosen; \`${everyNode}\` is every node`);
}
