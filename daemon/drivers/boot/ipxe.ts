// The scripts that a machine's iPXE runs, as pure text. Whatever goes wrong, the machine says so on its screen
// and asks again.
import type { BootingMachine } from "../../domain/ports.ts";

// Every chain replaces the script that it stands in: the end of the next one, such as "exit 1", is then the end of
// all, and does not look like a failed chain.

/** The first script: iPXE tells who it is. */
export function chainScript(base: string): string {
  return `#!ipxe
:ask
echo Muster: \${mac} asks ${base} what to boot
chain --replace ${base}/node.ipxe?mac=\${mac:hexhyp}&uuid=\${uuid}&platform=\${platform} ||
echo Muster: ${base} did not answer, trying again in 5 seconds
sleep 5
goto ask
`;
}

export function ramdiskScript(base: string, machine: BootingMachine): string {
  const query = `?mac=${machine.mac.replaceAll(":", "-")}`;
  return `#!ipxe
echo Muster: \${mac} boots the bootstrap ramdisk
imgfree
kernel ${base}/vmlinuz${query} initrd=initrd.img initrd=join.img console=tty0 console=ttyS0,115200 muster.mac=${machine.mac} || goto failed
initrd --name initrd.img ${base}/initrd.img${query} || goto failed
initrd --name join.img ${base}/join.img${query} || goto failed
boot || goto failed
:failed
${askAgain(base, "the ramdisk could not be loaded", 5)}`;
}

// Leaving iPXE makes the firmware go on to the next boot device. UEFI first tries its other network entries:
// there, the disk should come before the NIC in the boot order.
/** A BIOS may know only its first disk, which may be new and empty: iPXE then tries the next ones. */
export function localDiskScript(): string {
  return `#!ipxe
echo Muster: \${mac} boots from its own disk
iseq \${platform} pcbios || exit 1
sanboot --no-describe --drive 0x80 || sanboot --no-describe --drive 0x81 || sanboot --no-describe --drive 0x82 || exit 1
`;
}

export function ignoreScript(): string {
  return `#!ipxe
echo Muster: \${mac} is not a machine of this cluster, going on with the next boot device
exit 1
`;
}

export function notBuiltScript(base: string, missing: string[]): string {
  return `#!ipxe
${askAgain(base, `no ${missing.join(" and ")} here yet: run "muster image build --ramdisk" on the daemon's machine`, 10)}`;
}

function askAgain(base: string, reason: string, seconds: number): string {
  return `echo Muster: ${reason}
echo Muster: trying again in ${seconds} seconds
sleep ${seconds}
chain --replace ${base}/boot.ipxe || goto again
:again
sleep ${seconds}
chain --replace ${base}/boot.ipxe || goto again
`;
}
