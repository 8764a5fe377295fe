// Which nodes see the same disk: one that several machines reach is shared, and what is on it is not one node's.
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";

type Owned = { node: string; disk: Disk };

export class DiskOwners {
  readonly #byId = new Map<string, Owned[]>();

  constructor(nodes: Iterable<Node>) {
    for (const { name, inventory } of nodes) {
      for (const disk of inventory?.disks ?? []) {
        for (const id of idsOf(disk)) {
          const known = this.#byId.get(id);
          if (known) known.push({ node: name, disk });
          else this.#byId.set(id, [{ node: name, disk }]);
        }
      }
    }
  }

  /** The names of the other nodes whose inventory has the disk too. */
  othersWith(disk: Disk, node: string): string[] {
    const found = idsOf(disk).flatMap((id) => this.#byId.get(id) ?? []);
    const others = found.filter((one) => one.node !== node && isSameMedium(one.disk, disk));
    return [...new Set(others.map((one) => one.node))].sort();
  }
}

function idsOf({ serial, wwn }: Disk): string[] {
  return [serial && `serial ${serial}`, wwn && `wwn ${wwn}`].filter(Boolean).map((id) => id.toLowerCase());
}

/** A wwn is unique in the world. A serial is unique for its maker only, so that the size must be the same too. */
function isSameMedium(a: Disk, b: Disk): boolean {
  if (a.wwn && b.wwn) return a.wwn.toLowerCase() === b.wwn.toLowerCase();
  return a.sizeBytes === b.sizeBytes;
}
