// Text for people or JSON for programs: the same option wherever things are listed.
export type OutputOptions = { output?: string; json?: boolean };

export function wantsJson({ output, json }: OutputOptions): boolean {
  return json === true || output === "json";
}

/** A list is always under `items`. */
export function jsonList(items: unknown[]): string {
  return JSON.stringify({ items }, null, 2);
}
