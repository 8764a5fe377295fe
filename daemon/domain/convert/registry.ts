// The converters that there are. An outside package adds its own with `register`.
import { SchemeSpecSchema } from "../../../proto/gen/muster/v1/manifest_pb.ts";
import { checkMessage } from "../../../proto/manifest/check.ts";
import { hintFor } from "../../../proto/manifest/suggest.ts";
import { checkScheme } from "../scheme-check.ts";
import { bareon } from "./bareon.ts";
import type { Conversion, Converter } from "./converter.ts";
import { curtin } from "./curtin.ts";
import { nailgun } from "./nailgun.ts";

export class ConverterRegistry {
  readonly #converters = new Map<string, Converter>();

  register(converter: Converter): void {
    if (this.#converters.has(converter.name))
      throw new Error(`there is a converter \`${converter.name}\` already; call this one otherwise`);
    this.#converters.set(converter.name, converter);
  }

  get(name: string): Converter | undefined {
    return this.#converters.get(name);
  }

  /** `native` is a manifest, which needs no converter. */
  names(): string[] {
    return ["native", ...this.#converters.keys()];
  }
}

export function knownConverters(): ConverterRegistry {
  const registry = new ConverterRegistry();
  for (const converter of [bareon, nailgun, curtin]) registry.register(converter);
  return registry;
}

/** Converts, and holds the result to the rules of every scheme. */
export function convertScheme(
  registry: ConverterRegistry,
  from: string,
  data: unknown,
  schemeName: string,
): Conversion {
  const converter = registry.get(from);
  if (!converter) {
    const message = `there is no converter \`${from}\`${hintFor(from, registry.names())}`;
    return { ok: false, faults: [{ path: "--from", message }] };
  }
  const conversion = converter.convert(data, schemeName);
  if (!conversion.ok) return conversion;
  const faults = [
    ...checkMessage(SchemeSpecSchema, conversion.scheme).map(({ field, description }) => ({
      // A rule over several fields names none.
      path: field ? `scheme.${field}` : "scheme",
      message: description,
    })),
    ...checkScheme(conversion.scheme).map(({ path, message }) => ({ path: `scheme.${path}`, message })),
  ];
  return faults.length ? { ok: false, faults } : conversion;
}
