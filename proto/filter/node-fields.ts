// What nodes can be chosen by, in every list and every `-l`: their standing, their hardware, their labels and the
// facts that tasks have found out. The documentation of the API lists this table.
import type { JsonValue } from "@bufbuild/protobuf";
import { type Disk, Firmware_Mode, type Nic } from "../gen/muster/v1/inventory_pb.ts";
import { Environment, Fault_Kind, type Node, Node_State, PowerState } from "../gen/muster/v1/node_pb.ts";
import { choice, flag, number, text } from "./field-kinds.ts";
import type { Fields } from "./filter.ts";
import type { EntryValue } from "./match.ts";

/** What a task's newest success on a node has found out. */
export type FactsOf = (node: string, task: string) => JsonValue | undefined;

const disks =
  <R>(get: (disk: Disk) => R) =>
  ({ inventory }: Node) =>
    (inventory?.disks ?? []).map(get);
const nics =
  <R>(get: (nic: Nic) => R) =>
  ({ inventory }: Node) =>
    (inventory?.nics ?? []).map(get);

const fields: Fields<Node>["fields"] = {
  name: text("", ({ name }) => name),
  state: choice("", Node_State, ({ state }) => state),
  cluster: text("empty if it is in none", ({ cluster }) => cluster),
  role: text("", ({ role }) => role),
  hostname: text("", ({ hostname }) => hostname),
  address: text("", ({ address }) => address),
  mac: text("any of its MAC addresses", macsOf),
  serial: text("", ({ fingerprint }) => fingerprint?.systemSerial),
  uuid: text("", ({ fingerprint }) => fingerprint?.systemUuid),
  environment: choice("where its agent runs", Environment, ({ environment }) => environment),
  power: choice("", PowerState, ({ power }) => power),
  fault: choice("any of its faults", Fault_Kind, ({ faults }) => faults.map(({ kind }) => kind)),
  online: flag("", ({ online }) => online),
  maintenance: flag("", ({ maintenance }) => maintenance),
  protected: flag("", (node) => node.protected),
  retired: flag("", ({ retired }) => retired),
  declared: flag("a manifest names it", ({ spec }) => spec !== undefined),
  "label.*": text("a label of its manifest, such as `label.rack`", () => []),
  "fact.*": text("what a task has found out, such as `fact.TASK.NAME`; a number if it is one", () => []),
  memory: number("", "size", ({ inventory }) => inventory?.memoryBytes),
  cpus: number("threads of all processors", "count", ({ inventory }) => inventory?.cpu?.threads),
  disks: number("how many", "count", ({ inventory }) => inventory?.disks.length),
  "disk.size": number(
    "of any of its disks",
    "size",
    disks(({ sizeBytes }) => sizeBytes),
  ),
  "disk.model": text(
    "",
    disks(({ model }) => model),
  ),
  "disk.serial": text(
    "",
    disks(({ serial }) => serial),
  ),
  "disk.wwn": text(
    "",
    disks(({ wwn }) => wwn),
  ),
  "disk.tran": text(
    "sata, nvme, virtio, ...",
    disks(({ tran }) => tran),
  ),
  "disk.rotational": flag(
    "",
    disks(({ rotational }) => rotational),
  ),
  "nic.name": text(
    "of any of its network interfaces",
    nics(({ name }) => name),
  ),
  "nic.driver": text(
    "",
    nics(({ driver }) => driver),
  ),
  "nic.mac": text(
    "",
    nics(({ mac }) => mac),
  ),
  "nic.speed": number(
    "",
    "speed",
    nics(({ speedMbps }) => speedMbps),
  ),
  vendor: text("of the machine", ({ inventory }) => inventory?.system?.manufacturer),
  product: text("of the machine", ({ inventory }) => inventory?.system?.product),
  firmware: choice("", Firmware_Mode, ({ inventory }) => inventory?.firmware?.mode ?? 0),
};

/** With the facts that `fact.*` reads. */
export function nodeFieldsWith(factsOf: FactsOf): Fields<Node> {
  return {
    fields,
    entry: (node, field, key) => (field === "fact" ? fact(node, key, factsOf) : label(node, key)),
    words: (node) => [
      node.name,
      node.hostname,
      node.fingerprint?.systemSerial ?? "",
      node.address,
      ...macsOf(node),
    ],
    wordsAbout: "name, host name, serial number, MAC address and address",
    listed: ({ name }) => name,
  };
}

export const nodeFields = nodeFieldsWith(() => undefined);

function macsOf({ spec, fingerprint }: Node): string[] {
  return [...(spec?.macs ?? []), ...(fingerprint?.macs ?? [])];
}

function label({ spec }: Node, key: string): string[] {
  const labels = spec?.labels ?? {};
  return Object.hasOwn(labels, key) ? [labels[key] ?? ""] : [];
}

/** `TASK.NAME`, and `TASK.NAME.KEY` of a fact that is a map; any element of one that is a list. */
function fact({ name }: Node, key: string, factsOf: FactsOf): EntryValue[] {
  const [task = "", ...path] = key.split(".");
  let value = factsOf(name, task);
  for (const part of path) value = isMap(value) && Object.hasOwn(value, part) ? value[part] : undefined;
  return [value ?? []].flat().filter((each) => typeof each !== "object");
}

function isMap(value: JsonValue | undefined): value is Record<string, JsonValue> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
