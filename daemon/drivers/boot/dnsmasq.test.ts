import { expect, test } from "vitest";
import { ChildStartError } from "../child.ts";
import { parseDhcpEvent, startFault } from "./dnsmasq.ts";
import { dnsmasqConf } from "./dnsmasq-conf.ts";

const options = {
  interface: "br0",
  address: "10.77.0.1",
  range: { first: "10.77.0.100", last: "10.77.0.200", netmask: "255.255.255.0" },
  prefix6: "fd77::",
  leaseFile: "/s/boot/leases",
  pidFile: "/s/boot/dnsmasq.pid",
  tftpRoot: "/s/boot/tftp",
  httpBase: "http://10.77.0.1:8080",
};

test("DHCP and TFTP on one interface, no DNS, and no time lost by iPXE", () => {
  expect(dnsmasqConf(options)).toBe(`# Written by the Muster daemon at every start.
port=0
interface=br0
bind-interfaces
no-resolv
no-hosts
no-ping
log-dhcp
dhcp-authoritative
dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h
dhcp-option=option:router,10.77.0.1
dhcp-leasefile=/s/boot/leases
pid-file=/s/boot/dnsmasq.pid
enable-tftp
tftp-root=/s/boot/tftp
# iPXE announces itself with encapsulated option 175 and gets the script; a plain PXE ROM gets iPXE first.
dhcp-match=set:ipxe,175
dhcp-match=set:efi,option:client-arch,7
dhcp-match=set:efi,option:client-arch,9
dhcp-boot=tag:!ipxe,tag:!efi,undionly.kpxe
dhcp-boot=tag:!ipxe,tag:efi,snponly.efi
dhcp-boot=tag:ipxe,http://10.77.0.1:8080/boot.ipxe
# iPXE shall not wait for a ProxyDHCP server.
dhcp-option=encap:175,176,1b
# iPXE waits 13 s for an IPv6 router unless one answers.
enable-ra
dhcp-range=fd77::,ra-only,64,1h
`);
  expect(dnsmasqConf({ ...options, prefix6: undefined })).not.toContain("enable-ra");
});

test("DHCP events are read from what dnsmasq logs", () => {
  const mac = "52:54:00:77:00:10";
  expect(parseDhcpEvent(`dnsmasq-dhcp[14486]: 3988393048 DHCPDISCOVER(br0) ${mac} `)).toEqual({
    kind: "discover",
    mac,
    address: "",
  });
  expect(parseDhcpEvent(`dnsmasq-dhcp[14486]: 3988393048 DHCPOFFER(br0) 10.77.0.125 ${mac} `)).toEqual({
    kind: "offer",
    mac,
    address: "10.77.0.125",
  });
  expect(parseDhcpEvent(`dnsmasq-dhcp[14486]: DHCPACK(br0) 10.77.0.125 ${mac} n1`)?.kind).toBe("ack");
  expect(parseDhcpEvent("dnsmasq-dhcp[14486]: 3988393048 client provides name: x")).toBeUndefined();
  expect(parseDhcpEvent("dnsmasq-tftp: sent /s/boot/tftp/undionly.kpxe to 10.77.0.125")).toBeUndefined();
});

test("says why dnsmasq does not start, and what helps", () => {
  const said = (line: string) => startFault(new ChildStartError(line, [`dnsmasq: ${line}`]), "br0");
  expect(said("failed to bind DHCP server socket: Address already in use")).toMatch(
    /another DHCP .* ss -ulpn/,
  );
  expect(said("unknown interface br0")).toBe("there is no interface br0 here; see: ip link");
  const missing = Object.assign(new Error("spawn dnsmasq ENOENT"), { code: "ENOENT" });
  expect(startFault(new ChildStartError("", [], { cause: missing }), "br0")).toMatch(
    /install the package dnsmasq-base/,
  );
});
