// The files that make a copy of an image one particular machine: pure content, no writing.
import { stringify } from "yaml";
import type { DiskPlan, PlannedFs, PlannedLuks } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { SeedStep } from "../../proto/gen/muster/v1/step_pb.ts";
import type { Identity } from "../step.ts";
import { layersBelow } from "../storage/below.ts";
import { ownFilesystems } from "../storage/mounts.ts";

/** `path` is absolute in the installed system. */
export type SeedFile = { path: string; content: string; mode: number };
/** The content is a secret. */
export type KeyFile = { path: string; content: Uint8Array; mode: number };

export type SeedFacts = {
  plan: DiskPlan;
  /** UUID of each file system, by the device's name in the plan. */
  uuids: ReadonlyMap<string, string>;
  /** UUID of each array, by its name. */
  arrayUuids: ReadonlyMap<string, string>;
  /** UUID of each LUKS header, by its name. */
  luksUuids: ReadonlyMap<string, string>;
};

const file = (path: string, content: string, mode = 0o644): SeedFile => ({ path, content, mode });

/** For a system whose file systems were made by the plan. */
export function storageFiles(facts: SeedFacts): SeedFile[] {
  return [
    file("/etc/fstab", fstab(facts.plan, facts.uuids)),
    ...(facts.plan.mds.length > 0 ? [file("/etc/mdadm/mdadm.conf", mdadmConf(facts))] : []),
    ...(ownLuks(facts.plan).length > 0 ? [file("/etc/crypttab", crypttab(facts))] : []),
  ];
}

/** For every system: its name, its network and the agent's identity. `imageDigest` is that of its `/`. */
export function machineFiles(step: SeedStep, imageDigest: string, identity: Identity): SeedFile[] {
  const seed = "/var/lib/cloud/seed/nocloud";
  const agent = "/var/lib/muster/agent";
  return [
    file("/etc/hostname", `${step.hostname}\n`),
    file(`${seed}/meta-data`, metaData(step)),
    file(`${seed}/user-data`, userData(step)),
    file(`${seed}/network-config`, networkConfig(step)),
    file("/etc/muster/join.json", identity.joinBundle, 0o600),
    file(`${agent}/key.pem`, identity.privateKey, 0o600),
    file(`${agent}/cert.pem`, identity.certificate),
    file(`${agent}/image-digest`, `${imageDigest}\n`),
  ];
}

/** By UUID, in the order of mounting, swap last. The copies of an ESP are not mounted. */
export function fstab(plan: DiskPlan, uuids: ReadonlyMap<string, string>): string {
  const depth = (fs: PlannedFs) => (fs.type === "swap" ? 99 : fs.mount.split("/").filter(Boolean).length);
  const lines = ownFilesystems(plan)
    .filter((fs) => (fs.type === "swap" || fs.mount) && !fs.noFstab)
    .sort((a, b) => depth(a) - depth(b))
    .map((fs) => fstabLine(fs, fs.device === plan.rootDevice, requireUuid(uuids, fs.device)));
  return `${lines.join("\n")}\n`;
}

function fstabLine(fs: PlannedFs, isRoot: boolean, uuid: string): string {
  const device = `UUID=${uuid}`;
  if (fs.type === "swap") return `${device} none swap ${fs.options || "sw"} 0 0`;
  const rootDefaults = fs.type.startsWith("ext") ? "errors=remount-ro" : "defaults";
  if (isRoot) return `${device} / ${fs.type} ${fs.options || rootDefaults} 0 1`;
  // A machine that has lost a disk of data, or an ESP, shall come up all the same and say so.
  const defaults = fs.type === "vfat" ? "umask=0077" : "defaults";
  const options = [...new Set([...(fs.options || defaults).split(","), "nofail"])].join(",");
  return `${device} ${fs.mount} ${fs.type} ${options} 0 2`;
}

/** The arrays under the names and UUIDs that they were made with, whatever the host is called later. */
function mdadmConf({ plan, arrayUuids }: SeedFacts): string {
  const arrays = plan.mds.map(({ name, metadata }) => {
    // The old metadata holds no name.
    const named = metadata === "0.90" ? "" : ` name=any:${name}`;
    return `ARRAY /dev/md/${name} metadata=${metadata || "1.2"}${named} UUID=${requireUuid(arrayUuids, name)}`;
  });
  return ["HOMEHOST <system>", "MAILADDR root", ...arrays, ""].join("\n");
}

/**
 * The initramfs asks on the console for what root lies on: a key there would lie open beside the lock. The others
 * are opened by files on root, and do not hold up the boot.
 */
export function crypttab({ plan, luksUuids }: Pick<SeedFacts, "plan" | "luksUuids">): string {
  const byFile = openedByFile(plan);
  const lines = ownLuks(plan).map(({ name }) => {
    const how = byFile.some((luks) => luks.name === name)
      ? `${keyPath(name)} luks,nofail`
      : "none luks,initramfs";
    return `${name} UUID=${requireUuid(luksUuids, name)} ${how}\n`;
  });
  return lines.join("");
}

/** The LUKS devices that the installed system opens by itself. */
export function openedByFile(plan: DiskPlan): PlannedLuks[] {
  const early = layersBelow(plan, plan.rootDevice).luks;
  return ownLuks(plan).filter((luks) => !early.includes(luks));
}

/** All but what only the other operating systems of the node use: one of those may be locked against this one. */
function ownLuks(plan: DiskPlan): PlannedLuks[] {
  const below = (fss: PlannedFs[]) => fss.flatMap(({ device }) => layersBelow(plan, device).luks);
  const own = ownFilesystems(plan);
  const used = below(own);
  const foreign = below(plan.fss.filter((fs) => !own.includes(fs)));
  return plan.luks.filter((luks) => used.includes(luks) || !foreign.includes(luks));
}

/** What opens LUKS devices at boot, by their names. */
export function keyFiles(keys: ReadonlyMap<string, Uint8Array>): KeyFile[] {
  return [...keys].map(([name, content]) => ({ path: keyPath(name), content, mode: 0o600 }));
}

/** Where systemd, too, looks for it. */
function keyPath(name: string): string {
  return `/etc/cryptsetup-keys.d/${name}.key`;
}

function metaData(step: SeedStep): string {
  return stringify({ "instance-id": step.instanceId, "local-hostname": step.hostname });
}

export function userData(step: SeedStep): string {
  const config = {
    fqdn: step.domain ? `${step.hostname}.${step.domain}` : step.hostname,
    preserve_hostname: false,
    // Without it `hostname -f` has no answer.
    manage_etc_hosts: true,
    ssh_pwauth: false,
    // RSA keys take long to make on a slow machine, and nothing needs them.
    ssh_genkeytypes: ["ed25519"],
    // Setting one fails where the image has no package `locales`.
    locale: false,
  };
  return `#cloud-config\n${stringify(config)}`;
}

/** By MAC, as the name of a NIC differs between the ramdisk and the installed system. */
function networkConfig(step: SeedStep): string {
  const lan0 = {
    match: { macaddress: step.mac.toLowerCase() },
    dhcp4: true,
    dhcp6: false,
    "accept-ra": false,
  };
  // Quoted, as YAML 1.1 readers take a MAC of digits for a number in base 60.
  return stringify(
    { version: 2, ethernets: { lan0 } },
    { defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN" },
  );
}

function requireUuid(uuids: ReadonlyMap<string, string>, name: string): string {
  const uuid = uuids.get(name);
  if (!uuid) throw new Error(`${name} has no UUID. Run the partition and image steps again.`);
  return uuid;
}
