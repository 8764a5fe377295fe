// Progress of something long, on stderr: a line that is renewed on a terminal, otherwise a line every 5 seconds.
import { bytes } from "./progress.ts";

export type Meter = {
  /** What has been done, in bytes, and of how many if anybody knows. */
  at(done: number, total?: number): void;
  /** Takes the line away, if there is one. */
  end(): void;
};

export type MeterOutput = { write: (text: string) => void; isTerminal: boolean; now: () => number };

const terminalMs = 200;
const otherMs = 5000;

export function createMeter(label: string, output: MeterOutput): Meter {
  const start = output.now();
  const every = output.isTerminal ? terminalMs : otherMs;
  let shown = start;
  return {
    at(done, total) {
      const now = output.now();
      if (now - shown < every) return;
      shown = now;
      const line = `${label} ${progressText(done, total, (now - start) / 1000)}`;
      output.write(output.isTerminal ? `\r\x1b[K${line}` : `${line}\n`);
    },
    end() {
      if (output.isTerminal && shown > start) output.write("\r\x1b[K");
    },
  };
}

/** Such as `1.2 GiB of 2.0 GiB (60 %), 410 MiB/s, 2 s left`. */
export function progressText(done: number, total: number | undefined, seconds: number): string {
  const rate = done / seconds;
  const speed = `${bytes(rate)}/s`;
  if (!total) return `${bytes(done)}, ${speed}`;
  const percent = Math.floor((done / total) * 100);
  const left = rate > 0 ? `, ${duration((total - done) / rate)} left` : "";
  return `${bytes(done)} of ${bytes(total)} (${percent} %), ${speed}${left}`;
}

function duration(seconds: number): string {
  const whole = Math.ceil(Math.max(0, seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
