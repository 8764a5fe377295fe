// The standard health service: whether each service of a port answers calls. It does not before the daemon is
// ready and when it stops.
import {
  type Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../proto/gen/grpc/health/v1/health_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { notFound } from "./context.ts";

export class Readiness {
  #serving = false;
  readonly #waiting = new Set<() => void>();

  get serving(): boolean {
    return this.#serving;
  }

  set serving(serving: boolean) {
    this.#serving = serving;
    for (const wake of this.#waiting) wake();
  }

  /** Resolves when it may have changed, or the signal is aborted. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }
}

/** `services`: full names, such as muster.v1.NodeService. The empty name is the port as a whole. */
export function healthService(readiness: Readiness, services: readonly string[]): Handlers<typeof Health> {
  const isKnown = (service: string) => service === "" || services.includes(service);
  const status = () => (readiness.serving ? Status.SERVING : Status.NOT_SERVING);
  return {
    check: async ({ service }) => {
      if (!isKnown(service)) throw notFound("service", service);
      return { status: status() };
    },
    watch: async function* ({ service }, { signal }) {
      let last: Status | undefined;
      while (!signal.aborted) {
        const now = isKnown(service) ? status() : Status.SERVICE_UNKNOWN;
        const changed = readiness.changed(signal);
        if (now !== last) yield { status: now };
        last = now;
        await changed;
      }
    },
  };
}
