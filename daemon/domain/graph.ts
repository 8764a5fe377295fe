// Orders a graph of steps, and says what is wrong with one that has no order.

export type GraphNode = { id: string; requires: string[] };

/**
 * The nodes in an order in which they can run: what comes first in the input comes first among equals.
 * Or the ids of one cycle, the first repeated at the end.
 */
export function sortGraph<T extends GraphNode>(nodes: T[]): { order: T[] } | { cycle: string[] } {
  const waiting = new Map(nodes.map((node) => [node.id, new Set(node.requires)]));
  const dependents = new Map<string, string[]>();
  for (const { id, requires } of nodes) {
    for (const required of requires) {
      const list = dependents.get(required);
      if (list) list.push(id);
      else dependents.set(required, [id]);
    }
  }
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const ready = nodes.filter(({ requires }) => requires.length === 0).map(({ id }) => id);
  const order: T[] = [];
  // Grows while it is read.
  for (const id of ready) {
    const node = byId.get(id);
    if (node) order.push(node);
    waiting.delete(id);
    for (const dependent of dependents.get(id) ?? []) {
      const left = waiting.get(dependent);
      if (left?.delete(id) && left.size === 0) ready.push(dependent);
    }
  }
  return waiting.size === 0 ? { order } : { cycle: findCycle(waiting) };
}

// Every node that still waits has a predecessor that waits: walking back must meet a node twice.
function findCycle(waiting: Map<string, Set<string>>): string[] {
  const path: string[] = [];
  let id = waiting.keys().next().value ?? "";
  while (!path.includes(id)) {
    path.push(id);
    id = [...(waiting.get(id) ?? [])].find((required) => waiting.has(required)) ?? "";
  }
  return [...path.slice(path.indexOf(id)), id].reverse();
}
