import { expect, test } from "vitest";
import { chainScript, ignoreScript, localDiskScript, notBuiltScript, ramdiskScript } from "./ipxe.ts";

const base = "http://10.77.0.1:8080";
const machine = { mac: "52:54:00:77:00:10", uuid: "", platform: "pcbios", address: "10.77.0.100" };

test("the first script tells who asks, and asks until it is answered", () => {
  expect(chainScript(base)).toBe(`#!ipxe
:ask
echo Muster: \${mac} asks http://10.77.0.1:8080 what to boot
chain --replace http://10.77.0.1:8080/node.ipxe?mac=\${mac:hexhyp}&uuid=\${uuid}&platform=\${platform} ||
echo Muster: http://10.77.0.1:8080 did not answer, trying again in 5 seconds
sleep 5
goto ask
`);
});

test("the ramdisk comes with the join bundle and knows the NIC it came by", () => {
  expect(ramdiskScript(base, machine)).toBe(`#!ipxe
echo Muster: \${mac} boots the bootstrap ramdisk
imgfree
kernel http://10.77.0.1:8080/vmlinuz?mac=52-54-00-77-00-10 initrd=initrd.img initrd=join.img console=tty0 console=ttyS0,115200 muster.mac=52:54:00:77:00:10 || goto failed
initrd --name initrd.img http://10.77.0.1:8080/initrd.img?mac=52-54-00-77-00-10 || goto failed
initrd --name join.img http://10.77.0.1:8080/join.img?mac=52-54-00-77-00-10 || goto failed
boot || goto failed
:failed
echo Muster: the ramdisk could not be loaded
echo Muster: trying again in 5 seconds
sleep 5
chain --replace http://10.77.0.1:8080/boot.ipxe || goto again
:again
sleep 5
chain --replace http://10.77.0.1:8080/boot.ipxe || goto again
`);
});

test("a machine that boots from disk, or is not ours, goes on to its next boot device", () => {
  expect(localDiskScript()).toMatch(/^#!ipxe\necho .* boots from its own disk\niseq .* pcbios \|\| exit 1\n/);
  expect(localDiskScript()).toMatch(/--drive 0x80 \|\| .*--drive 0x81 \|\| .* \|\| exit 1\n$/);
  expect(ignoreScript()).toMatch(/is not a machine of this cluster, .*\nexit 1\n$/);
});

test("a ramdisk that is not built is said on the machine's screen", () => {
  expect(notBuiltScript(base, ["vmlinuz", "initrd.img"])).toBe(`#!ipxe
echo Muster: no vmlinuz and initrd.img here yet: run "muster image build --ramdisk" on the daemon's machine
echo Muster: trying again in 10 seconds
sleep 10
chain --replace http://10.77.0.1:8080/boot.ipxe || goto again
:again
sleep 10
chain --replace http://10.77.0.1:8080/boot.ipxe || goto again
`);
});
