// Names of fields as operators write and read them: `parteds[0].partitions[2].size`, `labels["a b"]`.
import type { Path } from "@bufbuild/protobuf/reflect";

export type Segment = string | number;

export function formatPath(segments: readonly Segment[]): string {
  let text = "";
  for (const segment of segments) {
    if (typeof segment === "number") text += `[${segment}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(segment)) text += text ? `.${segment}` : segment;
    else text += `[${JSON.stringify(segment)}]`;
  }
  return text;
}

/** The opposite of formatPath; what is not a path is one odd segment that nothing matches. */
export function parsePath(text: string): Segment[] {
  const segments: Segment[] = [];
  for (const [whole, name, index] of text.matchAll(/([^.[\]]+)|\[(\d+)\]|\["(?:[^"\\]|\\.)*"\]/g)) {
    if (name !== undefined) segments.push(name);
    else if (index !== undefined) segments.push(Number(index));
    else segments.push(String(JSON.parse(whole.slice(1, -1))));
  }
  return segments;
}

/** A path of protobuf-es in the names of the JSON form. A oneof has no name there: its message stands for it. */
export function segmentsOf(path: Path): Segment[] {
  const segments: Segment[] = [];
  for (const part of path) {
    if (part.kind === "field") segments.push(part.jsonName);
    else if (part.kind === "list_sub") segments.push(part.index);
    else if (part.kind === "map_sub") segments.push(String(part.key));
  }
  return segments;
}
