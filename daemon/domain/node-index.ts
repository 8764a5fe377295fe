// Finds a node by what its machine says of itself: thousands of machines may ask to join at once.
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";

export class NodeIndex {
  /** Names of nodes by MAC address and by SMBIOS UUID, the longest known first. */
  readonly #names = new Map<string, Set<string>>();

  put(node: Node, before: Node | undefined): void {
    if (before?.spec === node.spec && before?.fingerprint === node.fingerprint) return;
    if (before) this.delete(before);
    for (const mark of marksOf(node)) {
      const names = this.#names.get(mark);
      if (names) names.add(node.name);
      else this.#names.set(mark, new Set([node.name]));
    }
  }

  delete(node: Node): void {
    for (const mark of marksOf(node)) {
      const names = this.#names.get(mark);
      names?.delete(node.name);
      if (names?.size === 0) this.#names.delete(mark);
    }
  }

  /** The name of the first node with this MAC address, or this UUID. */
  find(mark: string): string | undefined {
    return this.#names.get(mark)?.values().next().value;
  }
}

function marksOf({ spec, fingerprint }: Node): Set<string> {
  return new Set([
    ...(spec?.macs ?? []),
    ...(fingerprint?.macs ?? []),
    ...(fingerprint?.systemUuid ? [fingerprint.systemUuid] : []),
  ]);
}
