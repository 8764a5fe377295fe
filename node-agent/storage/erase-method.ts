/** How a disk was erased, and what it reads afterwards: zeros, or anything but what was there before. */
export type EraseMethod = {
  name: string;
  leaves: "zeros" | "noise";
  /** How much of the disk that reaches; all of it if absent. */
  bytes?: bigint;
};
