// Text in SVG and HTML.

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

export function escapeXml(words: string): string {
  return words.replace(/[&<>"]/g, (sign) => entities[sign] ?? sign);
}

/** A coordinate, to a tenth of a pixel. */
export function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}
