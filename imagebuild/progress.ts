// What the builder says while it works: one line when a stage starts, one when it ends, with seconds and sizes.

export type Progress = {
  /** Runs a stage between its two lines; the result's note, if any, ends the second one. */
  run<T>(label: string, what: string, work: () => Promise<T>, note?: (result: T) => string): Promise<T>;
  reused(label: string): void;
  say(line: string): void;
};

export function createProgress(write: (line: string) => void, now: () => number): Progress {
  return {
    async run(label, what, work, note) {
      write(`${column(label)} ${what} ...`);
      const start = now();
      const result = await work();
      const seconds = ((now() - start) / 1000).toFixed(1);
      write(`${column(label)} done in ${seconds} s${note ? `, ${note(result)}` : ""}`);
      return result;
    },
    reused: (label) => write(`${column(label)} unchanged, reused`),
    say: write,
  };
}

function column(label: string): string {
  return label.padEnd(24);
}

/** Such as 1.4 GiB. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
