// What the bench's machine and the bench agree on.

export const rounds = 5;
/** The line of the console that begins with it ends with the figures. */
export const measuredMark = "bench: measured ";
