// Helps an operator who mistyped a name: the nearest of the names that exist, or all of them.

/** "; did you mean `x`?", or "; it is one of a, b", or "; there is none" — to follow what was wrong. */
export function hintFor(written: string, known: readonly string[], alternatives = known): string {
  const near = nearest(written, known);
  if (near !== undefined) return `; did you mean \`${near}\`?`;
  if (alternatives.length === 0) return "; there is none";
  return `; ${alternatives.length === 1 ? "there is only" : "it is one of"} ${alternatives.join(", ")}`;
}

/** The known name that is at most a third of the letters away, the first of the nearest. */
export function nearest(written: string, known: readonly string[]): string | undefined {
  let best: { name: string; distance: number } | undefined;
  for (const name of known) {
    const distance = editDistance(written.toLowerCase(), name.toLowerCase());
    const limit = Math.max(1, Math.floor(Math.max(name.length, written.length) / 3));
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { name, distance };
  }
  return best?.name;
}

// Optimal string alignment: insertions, deletions, changes, and two neighbours swapped. Names longer than
// any of ours are not compared, so that the cost has a limit.
function editDistance(a: string, b: string): number {
  if (a.length > 80 || b.length > 80) return a === b ? 0 : Number.POSITIVE_INFINITY;
  let older: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = at(previous, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(at(previous, j) + 1, at(row, j - 1) + 1, change);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) least = Math.min(least, at(older, j - 2) + 1);
      row.push(least);
    }
    older = previous;
    previous = row;
  }
  return at(previous, b.length);
}

function at(row: number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
