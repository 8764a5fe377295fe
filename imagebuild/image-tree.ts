// What an OS image has beside its packages: nothing that would make two machines the same, the settings of
// cloud-init, and the agent as a service.
import { chmod, copyFile, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** What the agent's steps and the first boot of any deployed system need. */
export const basePackages = [
  "ca-certificates",
  "cloud-init",
  "dbus",
  "dosfstools",
  "e2fsprogs",
  "efibootmgr",
  "grub-efi-amd64-bin",
  "grub-pc-bin",
  "grub2-common",
  "initramfs-tools",
  "iproute2",
  "kmod",
  "libatomic1",
  "libstdc++6",
  "lvm2",
  "mdadm",
  "netplan.io",
  "openssh-server",
  "sudo",
  "systemd-resolved",
  "systemd-sysv",
  "systemd-timesyncd",
  "thin-provisioning-tools",
  "udev",
  "xfsprogs",
  "zstd",
];

/**
 * In place before mdadm is installed: its own would list the arrays of the build machine, and the initramfs
 * would then assemble no others. This one lets it assemble whatever it finds.
 */
const mdadmConf = "HOMEHOST <ignore>\\nMAILADDR root\\n";

export const imageHooks = [
  `--essential-hook=mkdir -p "$1/etc/mdadm" && printf "${mdadmConf}" > "$1/etc/mdadm/mdadm.conf"`,
];

/** Each machine makes its own; the build machine's are nobody's business. */
const removed = [
  "etc/apt/apt.conf.d/99mmdebstrap",
  "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
  "etc/hostname",
  "etc/mdadm/mdadm.conf.tmp",
  "var/cache/apt",
  "var/cache/debconf/config.dat-old",
  "var/cache/debconf/templates.dat-old",
  "var/lib/apt/lists",
  "var/lib/dbus/machine-id",
  "var/lib/systemd/random-seed",
  "var/log/apt",
  "var/log/alternatives.log",
  "var/log/bootstrap.log",
  "var/log/dpkg.log",
];

/** Packages' logs and caches are kept out; these directories must stay. */
const kept = ["var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log/apt"];

const cloudConfig = `# Muster's seed is the only data source; looking for others costs minutes.
datasource_list: [NoCloud, None]
# The image has no locales to generate.
locale: false
# The sources that the image was built from stay.
apt:
  preserve_sources_list: true
ssh_genkeytypes: [ed25519, ecdsa]
`;

/** Once cloud-init has set the host's name and its network, but not after its last stage, which may be long. */
const agentUnit = `[Unit]
Description=Muster agent
After=network-online.target cloud-init.service
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/bin/node /usr/lib/muster/agent.mjs
Restart=always
RestartSec=2
Environment=LC_ALL=C.UTF-8

[Install]
WantedBy=multi-user.target
`;

export type ImageFacts = { kernelVersion: string; packages: string[] };

/** Readies the unpacked root file system; `agent` is the bundle, absent if the recipe wants none. */
export async function prepareImageTree(root: string, agent?: Uint8Array): Promise<ImageFacts> {
  for (const path of removed) await rm(join(root, path), { recursive: true, force: true });
  for (const path of kept) await mkdir(join(root, path), { recursive: true });
  await removeMatching(join(root, "etc/ssh"), /^ssh_host_/);
  await write(root, "etc/machine-id", "uninitialized\n");
  await write(root, "etc/cloud/cloud.cfg.d/90-muster.cfg", cloudConfig);
  await link(root, "etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf");
  if (agent) await installAgent(root, agent);
  return {
    kernelVersion: await kernelOf(root),
    packages: parseDpkgStatus(await readFile(join(root, "var/lib/dpkg/status"), "utf8")),
  };
}

async function installAgent(root: string, agent: Uint8Array): Promise<void> {
  await copyFile(process.execPath, join(root, "usr/bin/node"));
  await chmod(join(root, "usr/bin/node"), 0o755);
  await write(root, "usr/lib/muster/agent.mjs", agent);
  await write(root, "etc/systemd/system/muster-agent.service", agentUnit);
  await link(
    root,
    "etc/systemd/system/multi-user.target.wants/muster-agent.service",
    "/etc/systemd/system/muster-agent.service",
  );
  // The agent's key will be in the second, the address of its daemon in the first.
  for (const directory of ["etc/muster", "var/lib/muster"]) {
    await mkdir(join(root, directory), { recursive: true, mode: 0o700 });
  }
}

/** The one kernel, which must have its initramfs and modules. */
async function kernelOf(root: string): Promise<string> {
  const names = await readdir(join(root, "boot"));
  const versions = names.flatMap((name) => /^vmlinuz-(.+)$/.exec(name)?.[1] ?? []);
  const [version] = versions;
  if (!version || versions.length > 1) {
    throw new Error(
      `the image should have one kernel, not ${versions.join(", ") || "none"}; change the recipe's`,
    );
  }
  if (!names.includes(`initrd.img-${version}`)) {
    throw new Error(`the kernel package of ${version} made no initramfs in /boot`);
  }
  return version;
}

/** `name=version` of every installed package, in order. */
export function parseDpkgStatus(text: string): string[] {
  const packages = text.split("\n\n").flatMap((stanza) => {
    if (!/^Status: \S+ ok installed$/m.test(stanza)) return [];
    const field = (name: string) => new RegExp(`^${name}: (.+)$`, "m").exec(stanza)?.[1] ?? "";
    return [`${field("Package")}=${field("Version")}`];
  });
  return packages.sort();
}

async function removeMatching(directory: string, pattern: RegExp): Promise<void> {
  for (const name of await readdir(directory)) if (pattern.test(name)) await rm(join(directory, name));
}

async function write(root: string, path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content, { mode: 0o644 });
}

async function link(root: string, path: string, target: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await rm(join(root, path), { force: true });
  await symlink(target, join(root, path));
}
