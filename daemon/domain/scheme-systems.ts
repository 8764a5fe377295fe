// The operating systems of a scheme: one without a name, or those that its file systems name.
import type { Fs, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";

/** In the order of their first mention; empty where there is one only. */
export function systemsOf(scheme: SchemeSpec): string[] {
  return [...new Set(scheme.fss.flatMap(({ os }) => os))];
}

/** Whether some operating system uses both. */
export function share(a: Fs, b: Fs): boolean {
  return a.os.length === 0 || b.os.length === 0 || a.os.some((os) => b.os.includes(os));
}
