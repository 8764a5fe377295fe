// What a converter from another tool's layout is.
import type { SchemeSpec } from "../../../proto/gen/muster/v1/manifest_pb.ts";

/** `path` is that of the value in the other tool's data which cannot be expressed. */
export type ConversionFault = { path: string; message: string };
export type Conversion = { ok: true; scheme: SchemeSpec } | { ok: false; faults: ConversionFault[] };

export type Converter = {
  /** What `--from` calls it. */
  name: string;
  /** Pure: the same data give the same scheme, or every reason why there is none. */
  convert(data: unknown, schemeName: string): Conversion;
};
