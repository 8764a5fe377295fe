// How much of files is moved at most: the same for those who send and those who take.

/** Of one tree: its files together. */
export const treeLimitBytes = 256 << 20;
/** Of one message with a piece of a file. */
export const pieceBytes = 1 << 20;
/** Of a file whose text becomes a fact. */
export const factLimitBytes = 64 << 10;

const defaultFetchLimitBytes = 16 << 20;

/** Of a fetched file; `limit` as its action has it. */
export function fetchLimitBytes(limit: bigint): number {
  return limit === 0n ? defaultFetchLimitBytes : Number(limit);
}
