// Orders a graph of steps, and says what is wrong with one that has no order.

export type GraphNode = { id: string; requires: string[] };

/**
 * The nodes in an order in which they can run: what comes first in the input comes first among equals.
 * Or the ids of one cycle, the first repeated at the end.
 */
export function sortGraph<T extends GraphNode>(nodes: T[]): { order: T[] } | { cycle: string[] } {
  const edges = edgesOf(nodes);
  const left = Int32Array.from(nodes, ({ requires }) => requires.length);
  const ready: number[] = [];
  left.forEach((count, place) => {
    if (count === 0) ready.push(place);
  });
  const order: T[] = [];
  // Grows while it is read.
  for (const place of ready) {
    const node = nodes[place];
    if (node) order.push(node);
    const end = edges.first[place + 1] ?? 0;
    for (let edge = edges.first[place] ?? 0; edge < end; edge++) {
      const dependent = edges.to[edge] ?? 0;
      const rest = (left[dependent] ?? 0) - 1;
      left[dependent] = rest;
      if (rest === 0) ready.push(dependent);
    }
  }
  if (order.length === nodes.length) return { order };
  return { cycle: findCycle(nodes.filter((_, place) => left[place] !== 0)) };
}

/**
 * Who requires whom, by places: those that require node `n` are `to[first[n]]` up to `to[first[n + 1]]`. Flat, because
 * a big cluster has hundreds of thousands of steps.
 */
function edgesOf(nodes: GraphNode[]): { first: Int32Array; to: Int32Array } {
  const places = new Map(nodes.map(({ id }, place) => [id, place]));
  const from: number[] = [];
  const dependents: number[] = [];
  nodes.forEach(({ requires }, place) => {
    for (const id of requires) {
      const required = places.get(id);
      if (required === undefined) continue;
      from.push(required);
      dependents.push(place);
    }
  });
  const first = new Int32Array(nodes.length + 1);
  for (const place of from) first[place + 1] = (first[place + 1] ?? 0) + 1;
  for (let place = 0; place < nodes.length; place++) {
    first[place + 1] = (first[place + 1] ?? 0) + (first[place] ?? 0);
  }
  const next = first.slice();
  const to = new Int32Array(from.length);
  from.forEach((place, edge) => {
    const slot = next[place] ?? 0;
    to[slot] = dependents[edge] ?? 0;
    next[place] = slot + 1;
  });
  return { first, to };
}

// Every node that still waits has a predecessor that waits: walking back must meet a node twice.
function findCycle(waiting: GraphNode[]): string[] {
  const byId = new Map(waiting.map((node) => [node.id, node]));
  const steps = new Map<string, number>();
  let id = waiting[0]?.id ?? "";
  while (!steps.has(id)) {
    steps.set(id, steps.size);
    id = byId.get(id)?.requires.find((required) => byId.has(required)) ?? "";
  }
  return [...[...steps.keys()].slice(steps.get(id)), id].reverse();
}
