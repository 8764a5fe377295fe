// The partition schemes that rack scenarios deploy, and what must be found in the systems that come of them.
import { diskManifests, type ManifestText } from "./demo-manifests.ts";
import type { OneMachineOptions } from "./one-machine.ts";

export type SchemeScenario = {
  title: string;
  machine: Pick<OneMachineOptions, "firmware" | "sectorBytes">;
  /** All but kind and name. */
  scheme: string;
  /** Names of the secrets that it needs. */
  secrets?: string[];
  /** Shell commands that succeed in the installed system. */
  checks: string[];
  /** The disk without which it boots as well: its index. */
  spare: number;
};

export const schemeScenarios: SchemeScenario[] = [
  {
    title: "an ESP on both boot disks, a plain mirror, vfat and ext3 data",
    machine: { firmware: "uefi" },
    scheme: `
disks:
  - { id: system, count: 2 }
parteds:
  - disks: system
    partitions:
      - { name: esp, size: 128 MiB, flags: [esp] }
      - { name: exchange, size: 100 MiB }
      - { name: root, size: remaining, flags: [raid] }
mds:
  - { name: root, level: 1, devices: [partition/root] }
fss:
  - { device: md/root, type: ext4, mount: /, label: root }
  - { device: partition/esp, type: vfat, mount: /boot/efi, label: ESP }
  - { device: partition/exchange/0, type: vfat, mount: /exchange, label: EXCHANGE }
  - { device: partition/exchange/1, type: ext3, mount: /spare, label: spare }
`,
    checks: [
      "test -d /sys/firmware/efi",
      "test $(blkid -t LABEL=ESP -o device | wc -l) = 2",
      "findmnt -n -o FSTYPE /boot/efi | grep -x vfat",
      "findmnt -n -o FSTYPE /exchange | grep -x vfat",
      "findmnt -n -o FSTYPE /spare | grep -x ext3",
      "echo hello > /exchange/hello && sync && grep hello /exchange/hello",
    ],
    spare: 0,
  },
  {
    title: "sectors of 4096 bytes, with striped, mirrored and thin volumes, xfs and btrfs data",
    machine: { firmware: "uefi", sectorBytes: 4096 },
    scheme: `
disks:
  - { id: system, count: 2 }
parteds:
  - disks: system
    partitions:
      # FAT32 has at least 65525 clusters, here of 4 KiB.
      - { name: esp, size: 300 MiB, flags: [esp] }
      - { name: os, size: 3 GiB, flags: [raid] }
      - { name: data, size: remaining, flags: [lvm] }
mds:
  - { name: os, level: 1, devices: [partition/os] }
vgs:
  - { name: vg0, devices: [md/os] }
  - { name: data, devices: [partition/data] }
lvs:
  - { name: root, vg: vg0, size: remaining }
  - { name: swap, vg: vg0, size: 256 MiB }
  - { name: fast, vg: data, size: 1 GiB, type: striped, stripes: 2 }
  - { name: safe, vg: data, size: 500 MiB, type: mirror, mirrors: 2 }
  - { name: pool, vg: data, size: 1 GiB, type: thin_pool }
  - { name: thin, vg: data, size: 2 GiB, type: thin, pool: pool }
fss:
  - { device: lv/vg0/root, type: ext4, mount: /, label: root }
  - { device: lv/vg0/swap, type: swap }
  - { device: partition/esp, type: vfat, mount: /boot/efi, label: ESP }
  - { device: lv/data/fast, type: xfs, mount: /srv/fast, label: fast }
  - { device: lv/data/safe, type: ext4, mount: /srv/safe, label: safe }
  - { device: lv/data/thin, type: btrfs, mount: /srv/thin, label: thin }
`,
    checks: [
      'for disk in vda vdb; do test "$(cat /sys/block/$disk/queue/logical_block_size)" = 4096; done',
      "findmnt -n -o FSTYPE /boot/efi | grep -x vfat",
      "findmnt -n -o FSTYPE /srv/fast | grep -x xfs",
      "findmnt -n -o FSTYPE /srv/safe | grep -x ext4",
      "findmnt -n -o FSTYPE /srv/thin | grep -x btrfs",
      "swapon --noheadings --show=NAME | grep dm-",
      "lvs --noheadings -o segtype data/fast | grep striped",
      "lvs --noheadings -o segtype data/safe | grep raid1",
      "lvs --noheadings -o segtype data/thin | grep thin",
      "dd if=/dev/urandom of=/srv/thin/noise bs=1M count=20 conv=fsync",
    ],
    spare: 1,
  },
  {
    title: "an encrypted mirror, and encrypted volumes on another, opened at boot",
    machine: { firmware: "bios" },
    scheme: `
disks:
  - { id: system, count: 2 }
parteds:
  - disks: system
    partitions:
      - { name: bios, size: 1 MiB, flags: [bios_grub] }
      - { name: os, size: 3 GiB, flags: [raid] }
      - { name: vault, size: 1 GiB, flags: [raid] }
      - { name: data, size: remaining, flags: [raid] }
mds:
  - { name: os, level: 1, devices: [partition/os] }
  - { name: vault, level: 1, devices: [partition/vault] }
  - { name: data, level: 1, devices: [partition/data] }
luks:
  - { name: vault, device: md/vault, secret: vault-key }
  - { name: below, device: md/data, secret: data-key }
vgs:
  - { name: data, devices: [luks/below] }
lvs:
  - { name: srv, vg: data, size: 500 MiB }
fss:
  - { device: md/os, type: ext4, mount: /, label: root }
  - { device: luks/vault, type: xfs, mount: /vault, label: vault }
  - { device: lv/data/srv, type: ext4, mount: /srv/data, label: srv }
`,
    secrets: ["vault-key", "data-key"],
    checks: [
      // The boot does not wait for them.
      "for mount in /vault /srv/data; do timeout 120 sh -c 'until mountpoint -q $0; do sleep 1; done' $mount; done",
      "lsblk -n -o TYPE $(findmnt -n -o SOURCE /vault) | grep -x crypt",
      "lsblk -n -s -l -o TYPE $(findmnt -n -o SOURCE /srv/data) | grep -x crypt",
      "test $(blkid -t TYPE=crypto_LUKS -o device | wc -l) = 2",
      "findmnt -n -o FSTYPE /vault | grep -x xfs",
      "findmnt -n -o FSTYPE /srv/data | grep -x ext4",
      "stat -c '%a %U' /etc/cryptsetup-keys.d/vault.key | grep -x '[46]00 root'",
      "echo hidden > /vault/hello && sync && grep hidden /vault/hello",
    ],
    spare: 1,
  },
];

/** One node with the scheme, and a task that looks whether everything is there. */
export function scenarioManifests({ scheme, checks }: SchemeScenario): ManifestText[] {
  const command = ["set -x", "lsblk -o NAME,SIZE,TYPE,FSTYPE,LABEL,MOUNTPOINTS", ...checks];
  const task = `kind: Task
name: look
roles: [controller]
shell:
  command: |
${command.map((line) => `    ${line}`).join("\n")}
`;
  return [...diskManifests(`kind: Scheme\nname: raid1-lvm${scheme}`), { path: "look.yaml", content: task }];
}
