// curtin's storage configuration, versions 1 and 2: a list of actions that refer to each other by id.
import type { Parted } from "../../../proto/gen/muster/v1/manifest_pb.ts";
import { hintsForPath, plainName, SchemeBuilder } from "./builder.ts";
import type { Converter } from "./converter.ts";
import type { Raw } from "./raw.ts";

type Context = {
  builder: SchemeBuilder;
  actions: Map<string, Raw>;
  parteds: Map<string, Parted>;
};

export const curtin: Converter = {
  name: "curtin",
  convert(data, schemeName) {
    const builder = new SchemeBuilder(schemeName);
    const whole = builder.read(data);
    const storage = whole.field("storage").isEmpty ? whole : whole.field("storage");
    const version = storage.field("version").number(1);
    if (version !== 1 && version !== 2) storage.field("version").refuse(`is 1 or 2; found ${version}`);
    const list = storage.field("config").items();
    if (list.length === 0) storage.field("config").refuse("is missing or empty");
    const actions = new Map(list.map((action) => [action.field("id").need(), action]));
    const context: Context = { builder, actions, parteds: new Map() };
    for (const action of list) convertAction(action, context);
    return builder.finish();
  },
};

const conversions = new Map<string, (action: Raw, context: Context) => void>([
  ["disk", convertDisk],
  ["partition", convertPartition],
  ["raid", convertRaid],
  ["lvm_volgroup", convertGroup],
  ["lvm_partition", convertVolume],
  ["dm_crypt", convertCrypt],
  ["format", convertFormat],
  ["mount", checkMount],
]);

function convertAction(action: Raw, context: Context): void {
  const type = action.field("type");
  const convert = conversions.get(type.text());
  if (convert) convert(action, context);
  else type.refuse(`\`${type.text()}\` has no counterpart in a scheme`);
}

function convertDisk(raw: Raw, { builder, parteds, actions }: Context): void {
  raw.knows(
    "id",
    "type",
    "name",
    "serial",
    "wwn",
    "path",
    "model",
    "ptable",
    "wipe",
    "preserve",
    "grub_device",
  );
  const id = raw.field("id").text();
  const ptable = raw.field("ptable").text("gpt");
  const users = [...actions.values()].filter((action) => action.field("device").text() === id);
  // A disk that nothing is put on is not touched.
  const isUsed = users.length > 0 || [...actions.values()].some((action) => refersTo(action, id));
  if (!isUsed) return;
  if (!users.some((action) => action.field("type").text() === "partition")) {
    raw.refuse("is used whole, without a partition table; give it one partition");
    return;
  }
  if (ptable !== "gpt" && ptable !== "msdos" && ptable !== "dos")
    raw.field("ptable").refuse(`there is no table \`${ptable}\` in a scheme; it is gpt or msdos`);
  const grub = raw.field("grub_device");
  const parted = builder.addDisk(raw.field("name").text(id), hintsOf(raw), {
    label: ptable === "gpt" ? "gpt" : "msdos",
    bootloader: grub.isEmpty ? "" : grub.flag() ? "install" : "none",
    // A preserved table keeps what the list does not name.
    others: raw.field("preserve").flag() ? "keep" : "",
  });
  parteds.set(id, parted);
}

function hintsOf(raw: Raw): Record<string, string> {
  const hints: Record<string, string> = {};
  for (const name of ["serial", "wwn", "model"]) {
    const value = raw.field(name).text();
    if (value) hints[name] = value;
  }
  const path = raw.field("path").text();
  if (path.startsWith("iscsi:")) raw.field("path").refuse("iSCSI has no counterpart in a scheme");
  // curtin looks for the serial first, and at the path only without one.
  if (Object.keys(hints).length === 0 && path) return hintsForPath(path);
  if (Object.keys(hints).length === 0) raw.refuse("needs a serial, wwn, model or path");
  return hints;
}

function refersTo(action: Raw, id: string): boolean {
  return (
    action.field("volume").text() === id ||
    ["devices", "spare_devices"].some((name) =>
      action
        .field(name)
        .items()
        .some((item) => item.text() === id),
    )
  );
}

const flags: Record<string, string> = {
  bios_grub: "bios_grub",
  lvm: "lvm",
  raid: "raid",
  swap: "swap",
  linux: "",
};

function convertPartition(raw: Raw, context: Context): void {
  const { builder, parteds } = context;
  raw.knows(
    "id",
    "type",
    "name",
    "number",
    "size",
    "device",
    "flag",
    "wipe",
    "preserve",
    "grub_device",
    "partition_type",
    "partition_name",
    "offset",
    "uuid",
    "path",
    "resize",
  );
  const parted = parteds.get(raw.field("device").need());
  if (!parted) {
    if (!raw.field("device").isEmpty)
      raw.field("device").refuse("is no disk of this list with a partition table");
    return;
  }
  if (raw.field("resize").flag()) raw.field("resize").refuse("nothing is resized by a scheme");
  const flag = raw.field("flag").text();
  const msdos = parted.label === "msdos";
  const type = flag === "extended" || flag === "logical" ? flag : msdos ? "primary" : "";
  const converted = flag === "boot" ? bootFlag(raw, context, msdos) : flags[flag];
  if (flag && converted === undefined && type !== flag)
    raw.field("flag").refuse(`\`${flag}\` has no counterpart in a scheme`);
  const guid = raw.field("partition_type").text();
  if (guid && msdos)
    raw.field("partition_type").refuse("the type of an msdos partition follows from its use");
  const id = raw.field("id").text();
  builder.addPartition(parted, id, raw.field("partition_name").text(id), {
    count: raw.field("number").number(),
    // An extended partition is as large as what is in it.
    ...(type === "extended" ? {} : placeOf(raw)),
    type: msdos ? type : "",
    flags: converted && !guid ? [converted] : [],
    guid: msdos ? "" : guid,
    keepData: raw.field("preserve").flag() && isPreserved(id, context),
  });
}

/** With an offset its exact place, else its size. */
function placeOf(raw: Raw): { begin: string; end: string } | { size: string } {
  const offset = raw.field("offset");
  const size = sizeOf(raw.field("size"));
  if (offset.isEmpty || size === "remaining") return { size };
  const begin = bytesOf(offset);
  return { begin: `${begin} B`, end: `${begin + bytesOf(raw.field("size"))} B` };
}

/** On GPT it is an ESP if a vfat lies on it, and else says nothing that GRUB needs. */
function bootFlag(raw: Raw, { actions }: Context, msdos: boolean): string {
  if (msdos) return "boot";
  const id = raw.field("id").text();
  const format = [...actions.values()].find(
    (action) => action.field("type").text() === "format" && action.field("volume").text() === id,
  );
  return format && isFat(format.field("fstype").text()) ? "esp" : "";
}

/** Whether what lies on a device is preserved as well; a new file system on it is not. */
function isPreserved(id: string, { actions }: Context): boolean {
  const users = [...actions.values()].filter(
    (action) => action.field("type").text() !== "mount" && refersTo(action, id),
  );
  return users.length > 0 && users.every((action) => action.field("preserve").flag());
}

function convertRaid(raw: Raw, context: Context): void {
  const { builder } = context;
  raw.knows(
    "id",
    "type",
    "name",
    "mdname",
    "raidlevel",
    "devices",
    "spare_devices",
    "metadata",
    "preserve",
    "wipe",
    "path",
  );
  const written = raw.field("raidlevel").need().replace(/^raid/, "");
  const level = { mirror: 1, stripe: 0 }[written] ?? Number(written);
  if (![0, 1, 4, 5, 6, 10].includes(level))
    raw.field("raidlevel").refuse(`\`${written}\` has no counterpart in a scheme`);
  const metadata = raw.field("metadata").text();
  if (metadata && !["default", "0.9", "0.90", "1.0", "1", "1.2"].includes(metadata))
    raw.field("metadata").refuse(`\`${metadata}\` has no counterpart in a scheme`);
  const devices = (name: string) =>
    raw
      .field(name)
      .items()
      .map((item) => builder.device(item));
  const id = raw.field("id").text();
  builder.addMd(id, raw.field("mdname").text(raw.field("name").text(id)), {
    level,
    devices: devices("devices"),
    spares: devices("spare_devices"),
    metadata: { default: "", "0.9": "0.90", "1": "1.0" }[metadata] ?? metadata,
    keepData: raw.field("preserve").flag() && isPreserved(id, context),
  });
}

function convertGroup(raw: Raw, { builder }: Context): void {
  raw.knows("id", "type", "name", "devices", "preserve", "uuid");
  const preserve = raw.field("preserve").flag();
  builder.addVg({
    name: raw.field("name").need(),
    devices: raw
      .field("devices")
      .items()
      .map((item) => builder.device(item)),
    keepData: preserve,
    others: preserve ? "keep" : "",
  });
}

function convertVolume(raw: Raw, context: Context): void {
  raw.knows("id", "type", "name", "volgroup", "size", "preserve", "path");
  const group = context.actions.get(raw.field("volgroup").need());
  if (!group) raw.field("volgroup").refuse(`there is no volume group \`${raw.field("volgroup").text()}\``);
  const id = raw.field("id").text();
  context.builder.addLv(id, {
    name: raw.field("name").need(),
    vg: group?.field("name").text() ?? "",
    size: raw.field("size").isEmpty ? "remaining" : sizeOf(raw.field("size")),
    keepData: raw.field("preserve").flag() && isPreserved(id, context),
  });
}

function convertCrypt(raw: Raw, context: Context): void {
  raw.knows("id", "type", "volume", "dm_name", "key", "keyfile", "preserve", "path");
  const { builder } = context;
  const id = raw.field("id").text();
  if (!raw.field("key").isEmpty)
    raw.field("key").refuse("a key is in no scheme; store it as a secret and name a keyfile after it");
  const file = raw.field("keyfile").text();
  builder.addLuks(id, raw.field("dm_name").text(id), {
    device: builder.device(raw.field("volume")),
    // The secret is called like the file.
    secret: plainName(file.split("/").at(-1) || id, "-"),
    keepData: raw.field("preserve").flag() && isPreserved(id, context),
  });
}

function convertFormat(raw: Raw, context: Context): void {
  raw.knows("id", "type", "name", "fstype", "label", "volume", "uuid", "preserve", "extra_options");
  const { builder, actions } = context;
  const id = raw.field("id").text();
  const fstype = raw.field("fstype").need();
  const mount = [...actions.values()].find(
    (action) => action.field("type").text() === "mount" && action.field("device").text() === id,
  );
  if (!raw.field("uuid").isEmpty)
    raw.field("uuid").refuse("the UUID of a file system is its own; remove this");
  const path = mount?.field("path").text() ?? "";
  const isSwap = fstype === "swap";
  const options = mount?.field("options").text() ?? "";
  const isPlain = path === "" || path === "none";
  builder.addFs({
    device: builder.device(raw.field("volume")),
    type: isFat(fstype) ? "vfat" : fstype,
    mount: isSwap || isPlain ? "" : path,
    label: raw.field("label").text(),
    options: options === "defaults" ? "" : options,
    mkfsOptions: raw
      .field("extra_options")
      .items()
      .map((option) => option.text()),
    noFstab: !isSwap && isPlain,
    keepData: raw.field("preserve").flag(),
  });
}

function isFat(fstype: string): boolean {
  return ["fat", "fat32", "vfat"].includes(fstype);
}

function checkMount(raw: Raw, { actions }: Context): void {
  raw.knows("id", "type", "path", "device", "options", "fstype", "spec", "freq", "passno");
  if (!raw.field("spec").isEmpty)
    raw.field("spec").refuse("a mount without a device of this list has no counterpart");
  const device = raw.field("device");
  if (!device.isEmpty && actions.get(device.text())?.field("type").text() !== "format")
    device.refuse(`there is no format \`${device.text()}\``);
}

const factors: Record<string, number> = { "": 0, K: 1, M: 2, G: 3, T: 4 };

/** curtin's units are powers of 1024, whether they are written K, KB or KiB. */
function bytesOf(raw: Raw): number {
  const match = /^([0-9]+(?:\.[0-9]+)?) *([KMGT]?)(?:i?B)?$/i.exec(raw.text().trim());
  if (!match) {
    raw.refuse(`is a size such as 4GB; found ${JSON.stringify(raw.value)}`);
    return 0;
  }
  return Math.round(Number(match[1]) * 1024 ** (factors[(match[2] ?? "").toUpperCase()] ?? 0));
}

function sizeOf(raw: Raw): string {
  if (raw.text() === "-1") return "remaining";
  const bytes = bytesOf(raw);
  return bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20} MiB` : `${bytes} B`;
}
