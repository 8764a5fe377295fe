// `ip -j -d addr` as the machine's real network interfaces.
import { create } from "@bufbuild/protobuf";
import { type Nic, NicSchema } from "../../proto/gen/muster/v1/inventory_pb.ts";

/** What sysfs knows of an interface that has a device behind it. */
export type NicDevice = {
  driver: string;
  speedMbps: number;
  link: boolean;
  pciAddress: string;
  /** From ethtool; empty if it does not know. */
  permanentMac: string;
};

type Link = {
  ifname: string;
  link_type: string;
  address?: string;
  permaddr?: string;
  addr_info?: { local?: string; prefixlen?: number; scope?: string }[];
};

/** Interfaces without an entry in `devices` are bridges, tunnels and the like: no hardware. */
export function parseIpAddr(text: string, devices: ReadonlyMap<string, NicDevice>): Nic[] {
  const links = JSON.parse(text) as Link[];
  return links.flatMap((link) => {
    const device = devices.get(link.ifname);
    if (!device || link.link_type !== "ether") return [];
    const mac = (link.address ?? "").toLowerCase();
    return create(NicSchema, {
      name: link.ifname,
      mac,
      permanentMac: (device.permanentMac || link.permaddr || mac).toLowerCase(),
      driver: device.driver,
      speedMbps: device.speedMbps,
      link: device.link,
      addresses: (link.addr_info ?? [])
        .filter(({ local, scope }) => local && scope === "global")
        .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
      pciAddress: device.pciAddress,
    });
  });
}

/** `ethtool -P eth0`: "Permanent address: 52:54:00:12:34:56", or "not set". */
export function parsePermanentMac(text: string): string {
  const mac = /([0-9a-f]{2}(?::[0-9a-f]{2}){5})/i.exec(text)?.[1]?.toLowerCase() ?? "";
  return mac === "00:00:00:00:00:00" ? "" : mac;
}

/** The last PCI function on the way to a device: /sys/devices/pci0000:00/0000:00:03.0/virtio2. */
export function pciAddressOf(sysfsPath: string): string {
  return sysfsPath.match(/[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/g)?.at(-1) ?? "";
}
