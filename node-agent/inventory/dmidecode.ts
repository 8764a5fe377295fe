// `dmidecode` as the system, its firmware and its memory modules.
import { create } from "@bufbuild/protobuf";
import { type Dimm, DimmSchema, type System, SystemSchema } from "../../proto/gen/muster/v1/inventory_pb.ts";

export type DmiFacts = { system: System; dimms: Dimm[]; biosVendor: string; biosVersion: string };

type Fields = ReadonlyMap<string, string>;

/** What manufacturers write when they have nothing to say. */
const placeholder =
  /^(not (specified|present|provided|available|applicable)|none|unknown|n\/a|to be filled by o\.e\.m\.|default string|system (manufacturer|product name|serial number)|0+)$/i;

export function parseDmidecode(text: string): DmiFacts {
  const records = readRecords(text);
  const bios = records.find(({ type }) => type === 0)?.fields ?? new Map();
  const system = records.find(({ type }) => type === 1)?.fields ?? new Map();
  return {
    system: create(SystemSchema, {
      uuid: meaningful(system, "UUID").toLowerCase(),
      manufacturer: meaningful(system, "Manufacturer"),
      product: meaningful(system, "Product Name"),
      serial: meaningful(system, "Serial Number"),
    }),
    dimms: records.filter(({ type }) => type === 17).flatMap(({ fields }) => dimmOf(fields)),
    biosVendor: meaningful(bios, "Vendor"),
    biosVersion: meaningful(bios, "Version"),
  };
}

/** "Handle 0x0100, DMI type 1, 27 bytes", a title, and indented "Name: value" lines. */
function readRecords(text: string): { type: number; fields: Fields }[] {
  return text.split(/\n(?=Handle )/).flatMap((record) => {
    const type = /^Handle 0x[0-9A-F]+, DMI type (\d+)/i.exec(record)?.[1];
    if (type === undefined) return [];
    const lines = record.matchAll(/^\t([^\t:][^:]*):[ \t]*(.*)$/gm);
    const fields = new Map([...lines].map(([, name = "", value = ""]) => [name, value.trim()]));
    return { type: Number(type), fields };
  });
}

/** An empty slot is no module. */
function dimmOf(fields: Fields): Dimm[] {
  const sizeBytes = parseSize(fields.get("Size") ?? "");
  if (!sizeBytes) return [];
  return [
    create(DimmSchema, {
      locator: meaningful(fields, "Locator"),
      sizeBytes,
      type: meaningful(fields, "Type"),
    }),
  ];
}

const units: Record<string, bigint> = { kB: 1n << 10n, MB: 1n << 20n, GB: 1n << 30n, TB: 1n << 40n };

function parseSize(text: string): bigint {
  const [, digits, unit] = /^(\d+) ([kMGT]B)$/.exec(text) ?? [];
  return digits && unit ? BigInt(digits) * (units[unit] ?? 0n) : 0n;
}

function meaningful(fields: Fields, name: string): string {
  const value = fields.get(name) ?? "";
  return placeholder.test(value) ? "" : value;
}
