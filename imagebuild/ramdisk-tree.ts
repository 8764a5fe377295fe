// What of a Debian root file system goes into the ramdisk: everything that a deployment needs on any machine,
// and nothing else, since the machine holds all of it in memory.
import { chmod, copyFile, mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { runTool, type ToolOptions } from "./tools.ts";

export const ramdiskSuite = "bookworm";

/** The generic kernel: the cloud one has no drivers for AHCI, for most NICs, nor for a BMC. */
const kernelPackage = "linux-image-amd64";

export const ramdiskPackages = [
  "aria2",
  "btrfs-progs",
  "busybox-static",
  "ca-certificates",
  "cryptsetup-bin",
  "dmidecode",
  "dosfstools",
  "e2fsprogs",
  "efibootmgr",
  "ethtool",
  "fdisk",
  "gdisk",
  "hdparm",
  "iproute2",
  "kmod",
  "libatomic1",
  "libstdc++6",
  "lshw",
  "lvm2",
  "mdadm",
  "mount",
  "nvme-cli",
  "parted",
  "pciutils",
  "thin-provisioning-tools",
  "udev",
  "util-linux",
  "xfsprogs",
];

const download =
  `cd /tmp; apt-get download $(apt-cache depends ${kernelPackage} | ` +
  "sed -n 's/^ *Depends: \\(linux-image-[0-9].*\\)/\\1/p')";

/** The kernel is unpacked but not installed: installing it would make an initramfs that nobody needs. */
export const ramdiskHooks = [
  `--customize-hook=chroot "$1" sh -ec "${download.replaceAll("$", "\\$")}"`,
  '--customize-hook=for deb in "$1"/tmp/linux-image-*.deb; do dpkg-deb --fsys-tarfile "$deb" | ' +
    'tar -x --keep-directory-symlink -C "$1"; rm "$deb"; done',
];

const unneeded = [
  "boot",
  "etc/apt",
  "usr/games",
  "usr/include",
  "usr/lib/x86_64-linux-gnu/gconv",
  "usr/lib/x86_64-linux-gnu/perl",
  "usr/lib/x86_64-linux-gnu/perl-base",
  "usr/lib/x86_64-linux-gnu/systemd/libsystemd-core-252.so",
  "usr/share/bash-completion",
  "usr/share/common-licenses",
  "usr/share/i18n",
  "usr/share/lintian",
  "usr/share/perl",
  "usr/share/perl5",
  "usr/share/python3",
  "usr/share/zoneinfo",
  "usr/src",
  "var/cache",
  "var/lib/apt",
  "var/lib/dpkg",
  "var/log",
];

/** Rules that would assemble arrays and volume groups behind the agent's back. */
const assemblyRules = ["64-md-raid-assembly.rules", "69-lvm.rules", "69-md-clustered-confirm-device.rules"];

/** Kernel modules for hardware and protocols that have no part in a deployment, by folder. */
const unneededModules: Record<string, string> = {
  ".": "sound arch/x86/kvm",
  drivers:
    "accessibility bluetooth comedi gpu greybus iio infiniband input/joystick input/tablet input/touchscreen " +
    "isdn media mtd net/can net/hamradio net/ieee802154 net/wireless net/wwan pcmcia platform/chrome " +
    "platform/surface staging target thunderbolt video/fbdev w1",
  net:
    "6lowpan appletalk atm ax25 batman-adv bluetooth can ceph dccp hsr ieee802154 ipv4/netfilter " +
    "ipv6/netfilter mac80211 mac802154 mpls netfilter netrom nfc openvswitch rds rfkill rose rxrpc sched sctp " +
    "smc sunrpc tipc wireless xfrm",
  fs:
    "9p adfs affs afs befs bfs ceph coda dlm ecryptfs efs erofs f2fs freevxfs gfs2 hfs hfsplus hpfs jffs2 jfs " +
    "lockd minix nfs nfs_common nfsd nilfs2 ntfs ntfs3 ocfs2 omfs orangefs qnx4 qnx6 reiserfs smb sysv ubifs " +
    "ufs vboxsf zonefs",
};

/** What the first init loads before it can mount the rest, besides what these depend on. */
const firstModules = ["loop", "squashfs", "overlay"];

/** Such as 6.1.0-56-amd64. */
export async function kernelVersion(root: string): Promise<string> {
  const kernels = (await readdir(join(root, "boot"))).filter((name) => name.startsWith("vmlinuz-"));
  const [kernel] = kernels;
  if (!kernel || kernels.length > 1) {
    throw new Error(
      `the root file system should have one kernel in /boot, not ${kernels.join(", ") || "none"}`,
    );
  }
  return kernel.slice("vmlinuz-".length);
}

/** Takes away what the ramdisk does not need and puts in node. */
export async function pruneRamdiskTree(root: string, version: string, options: ToolOptions): Promise<void> {
  const modules = join(root, "usr/lib/modules", version);
  const folders = Object.entries(unneededModules).flatMap(([parent, names]) =>
    names.split(" ").map((name) => join(modules, "kernel", parent, name)),
  );
  const rules = assemblyRules.map((name) => join(root, "usr/lib/udev/rules.d", name));
  const data = (await readdir(join(root, "usr/lib/udev"))).filter((name) => name.startsWith("hwdb."));
  const python = (await readdir(join(root, "usr/lib"))).filter((name) => name.startsWith("python3"));
  const doomed = [
    ...folders,
    ...rules,
    ...unneeded.map((path) => join(root, path)),
    ...data.map((name) => join(root, "usr/lib/udev", name)),
    ...python.map((name) => join(root, "usr/lib", name)),
  ];
  for (const path of doomed) await rm(path, { recursive: true, force: true });
  await removePrograms(join(root, "usr/bin"), /^(python3|perl)/);
  await runTool("depmod", ["-b", root, version], options);

  await copyFile(process.execPath, join(root, "usr/bin/node"));
  await chmod(join(root, "usr/bin/node"), 0o755);
  for (const applet of ["ping", "less", "vi", "free", "ps", "top", "reboot", "poweroff"]) {
    await symlink("/bin/busybox", join(root, "usr/bin", applet)).catch(ignoreExisting);
  }
  await writeFile(join(root, "etc/mdadm/mdadm.conf"), "HOMEHOST <ignore>\n");
  await writeFile(join(root, "etc/hostname"), "muster-bootstrap\n");
  await rm(join(root, "etc/resolv.conf"), { force: true });
  for (const directory of ["usr/lib/muster", "etc/muster", "var/log", "var/cache", "var/lib/dpkg"]) {
    await mkdir(join(root, directory), { recursive: true });
  }
}

async function removePrograms(directory: string, pattern: RegExp): Promise<void> {
  for (const name of await readdir(directory)) if (pattern.test(name)) await rm(join(directory, name));
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

/** Copies busybox and the first modules into `target`, with the order in which they load. */
export async function copyFirstStage(
  root: string,
  version: string,
  target: string,
  options: ToolOptions,
): Promise<void> {
  await mkdir(join(target, "modules"), { recursive: true });
  await copyFile(join(root, "usr/bin/busybox"), join(target, "busybox"));
  const order: string[] = [];
  for (const module of firstModules) {
    const shown = await runTool("modprobe", ["-d", root, "-S", version, "--show-depends", module], options);
    for (const path of parseModuleOrder(shown)) {
      const name = basename(path);
      if (order.includes(name)) continue;
      order.push(name);
      await copyFile(path, join(target, "modules", name));
    }
  }
  await writeFile(join(target, "modules/order"), order.map((name) => `${name}\n`).join(""));
}

/** Of `modprobe --show-depends`: `insmod PATH [parameters]`; what is built into the kernel needs no loading. */
export function parseModuleOrder(text: string): string[] {
  return [...text.matchAll(/^insmod (\S+)/gm)].map((match) => match[1] ?? "");
}
