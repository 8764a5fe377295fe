// `lshw -json`, only for what the other tools leave empty: vendor, model and serial of disks.

export type LshwDisk = { vendor: string; model: string; serial: string };

type Item = {
  class?: string;
  logicalname?: string | string[];
  vendor?: string;
  product?: string;
  serial?: string;
  children?: Item[];
};

/** Disks by the kernel's name. */
export function parseLshwDisks(text: string): Map<string, LshwDisk> {
  const disks = new Map<string, LshwDisk>();
  const visit = (item: Item) => {
    if (item.class === "disk") {
      const disk = { vendor: item.vendor ?? "", model: item.product ?? "", serial: item.serial ?? "" };
      for (const name of [item.logicalname ?? []].flat()) {
        if (name.startsWith("/dev/")) disks.set(name.slice("/dev/".length), disk);
      }
    }
    item.children?.forEach(visit);
  };
  const parsed = JSON.parse(text) as Item | Item[];
  [parsed].flat().forEach(visit);
  return disks;
}
