// What dnsmasq is told: DHCP, TFTP and router advertisements on one interface, and no DNS at all.

export type DnsmasqOptions = {
  interface: string;
  /** The daemon's IPv4 address on that interface. */
  address: string;
  range: { first: string; last: string; netmask: string };
  /** An IPv6 prefix such as `fd77::` that the interface has an address of: iPXE then loses no time waiting for it. */
  prefix6?: string;
  leaseFile: string;
  pidFile: string;
  tftpRoot: string;
  /** Such as http://10.77.0.1:8080. */
  httpBase: string;
};

export function dnsmasqConf(options: DnsmasqOptions): string {
  const { first, last, netmask } = options.range;
  return `# Written by the Muster daemon at every start.
port=0
interface=${options.interface}
bind-interfaces
no-resolv
no-hosts
no-ping
log-dhcp
dhcp-authoritative
dhcp-range=${first},${last},${netmask},1h
dhcp-option=option:router,${options.address}
dhcp-leasefile=${options.leaseFile}
pid-file=${options.pidFile}
enable-tftp
tftp-root=${options.tftpRoot}
# iPXE announces itself with encapsulated option 175 and gets the script; a plain PXE ROM gets iPXE first.
dhcp-match=set:ipxe,175
dhcp-match=set:efi,option:client-arch,7
dhcp-match=set:efi,option:client-arch,9
dhcp-boot=tag:!ipxe,tag:!efi,undionly.kpxe
dhcp-boot=tag:!ipxe,tag:efi,snponly.efi
dhcp-boot=tag:ipxe,${options.httpBase}/boot.ipxe
# iPXE shall not wait for a ProxyDHCP server.
dhcp-option=encap:175,176,1b
${options.prefix6 ? routerAdvertisement(options.prefix6) : ""}`;
}

function routerAdvertisement(prefix: string): string {
  return `# iPXE waits 13 s for an IPv6 router unless one answers.
enable-ra
dhcp-range=${prefix},ra-only,64,1h
`;
}
