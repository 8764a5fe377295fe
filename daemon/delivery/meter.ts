// What the data plane has done since it was started.
import type { Served } from "./options.ts";

export class Meter {
  readonly served: Served = { bytes: 0, streams: 0, stalled: 0 };

  begin(): void {
    this.served.streams++;
  }

  end(): void {
    this.served.streams--;
  }

  sent(bytes: number): void {
    this.served.bytes += bytes;
  }

  stalled(): void {
    this.served.stalled++;
  }
}
