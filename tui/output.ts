// Text for people or JSON for programs: the same options wherever things are shown.
export type OutputOptions = { output?: string; json?: boolean };

export function wantsJson({ output, json }: OutputOptions): boolean {
  return json === true || output === "json";
}

/** A list is always under `items`. */
export function jsonList(items: unknown[]): string {
  return JSON.stringify({ items }, null, 2);
}
