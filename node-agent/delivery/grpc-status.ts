// What gRPC's status codes mean for a source. As numbers: lanes do without grpc-js.
import { type FaultKind, SourceFault } from "./faults.ts";

export const ok = 0;

const kinds: Partial<Record<number, FaultKind>> = {
  5: "missing", // NOT_FOUND
  7: "denied", // PERMISSION_DENIED
  11: "missing", // OUT_OF_RANGE
  12: "missing", // UNIMPLEMENTED
  15: "missing", // DATA_LOSS
  16: "denied", // UNAUTHENTICATED
};

/** All others may pass by themselves. `chunk`: the one that should have come next. */
export function statusFault(code: number, message: string, chunk?: number): SourceFault {
  return new SourceFault({ kind: kinds[code] ?? "away", message: message || `gRPC status ${code}`, chunk });
}
