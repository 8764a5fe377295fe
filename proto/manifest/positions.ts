// Where each value of a document stands in its file, by field path.
import { parsePath, type Segment } from "./field-path.ts";

export class Positions {
  readonly offset: number;
  readonly #children = new Map<Segment, Positions>();

  constructor(offset: number) {
    this.offset = offset;
  }

  add(segment: Segment, offset: number): Positions {
    const child = new Positions(offset);
    this.#children.set(segment, child);
    return child;
  }

  /** The offset of a value, or of the nearest enclosing one that was written. */
  find(path: string): number {
    return this.#walk(path).found.offset;
  }

  has(path: string): boolean {
    return this.#walk(path).complete;
  }

  // A field may be named in either form of its name; a key of a map only as it is written.
  #walk(path: string): { found: Positions; complete: boolean } {
    let found: Positions = this;
    for (const segment of parsePath(path)) {
      const children: Map<Segment, Positions> = found.#children;
      const child =
        children.get(segment) ?? children.get(typeof segment === "string" ? camel(segment) : segment);
      if (child === undefined) return { found, complete: false };
      found = child;
    }
    return { found, complete: true };
  }
}

function camel(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
