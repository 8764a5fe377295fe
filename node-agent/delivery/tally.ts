// What a delivery has done, in bytes.
export type Tally = {
  /** Content of the image that is not zero: what the others come to in the end. */
  total: number;
  /** Stored bytes that came from sources. */
  moved: number;
  /** Content of what came. */
  fetched: number;
  /** Content that was taken from another place of the target. */
  copied: number;
  /** Content that was in its place already. */
  skipped: number;
  /** Bytes written to the target, zeros not counted. */
  written: number;
  /** Bytes read back from the target in the end. */
  verified: number;
};

export function newTally(total: number): Tally {
  return { total, moved: 0, fetched: 0, copied: 0, skipped: 0, written: 0, verified: 0 };
}

/** How much of the content is where it belongs, or held to be written last. */
export function doneBytes({ fetched, copied, skipped }: Tally): number {
  return fetched + copied + skipped;
}

export function addTallies(a: Readonly<Tally>, b: Readonly<Tally>): Tally {
  return {
    total: a.total + b.total,
    moved: a.moved + b.moved,
    fetched: a.fetched + b.fetched,
    copied: a.copied + b.copied,
    skipped: a.skipped + b.skipped,
    written: a.written + b.written,
    verified: a.verified + b.verified,
  };
}
