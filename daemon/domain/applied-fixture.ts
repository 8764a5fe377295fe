// What an inventory says of a machine after a plan was applied to it: for tests of what is kept the next time.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import {
  DiskContentSchema,
  DiskSchema,
  type Inventory,
  InventorySchema,
} from "../../proto/gen/muster/v1/inventory_pb.ts";

type Content = MessageInitShape<typeof DiskContentSchema>;

const guids: Record<string, string> = {
  ef02: "21686148-6449-6e6f-744e-656564454649",
  ef00: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
  fd00: "a19d880f-05fc-4d3b-a006-743f0f84911e",
  "8e00": "e6d6d379-f507-44c2-a23c-238f2a3df928",
  "8200": "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f",
  "8300": "0fc63daf-8483-4772-8e79-3d69d8477de4",
  "8309": "ca7d7ccb-63ed-4c53-861c-1742536059cc",
};

/** The machine with the plan's layout on its disks. Other disks stay as they are. */
export function applied(plan: DiskPlan, inventory: Inventory): Inventory {
  const disks = inventory.disks.map((disk) => {
    const planned = plan.disks.find(({ lastName }) => lastName === disk.name);
    if (!planned) return disk;
    const sector = BigInt(planned.logicalSectorBytes);
    const contents = planned.partitions.flatMap((part): Content[] => {
      const name = `${disk.name}${part.number}`;
      const device = `partition/${planned.selector}/${planned.index}/${part.name}`;
      return [
        {
          ...leaf(plan, device),
          name,
          type: "part",
          parent: disk.name,
          sizeBytes: part.sizeBytes,
          partNumber: part.number,
          startBytes: part.firstLba * sector,
          partName: planned.label === "gpt" ? part.name : "",
          partType: planned.label === "gpt" ? (guids[part.typeCode] ?? part.typeCode) : `0x${part.typeCode}`,
        },
        ...above(plan, device, name),
      ];
    });
    return create(DiskSchema, {
      ...disk,
      contents: contents.map((content) => create(DiskContentSchema, content)),
      tableType: planned.label === "msdos" ? "dos" : "gpt",
    });
  });
  return create(InventorySchema, { ...inventory, disks });
}

/** What is directly on a device. */
function leaf(plan: DiskPlan, device: string): Content {
  if (plan.mds.some(({ devices, spares }) => [...devices, ...spares].includes(device)))
    return { fsType: "linux_raid_member" };
  if (plan.vgs.some(({ devices }) => devices.includes(device))) return { fsType: "LVM2_member" };
  if (plan.luks.some((luks) => luks.device === device)) return { fsType: "crypto_LUKS" };
  const fs = plan.fss.find((one) => one.device === device || one.copies.includes(device));
  return fs ? { fsType: fs.type, label: fs.label, fsLabel: fs.label } : {};
}

function above(plan: DiskPlan, device: string, parent: string): Content[] {
  const md = plan.mds.find(({ devices, spares }) => [...devices, ...spares].includes(device));
  if (md) {
    const name = `md${127 - plan.mds.indexOf(md)}`;
    const own = {
      ...leaf(plan, `md/${md.name}`),
      name,
      type: `raid${md.level}`,
      parent,
      sizeBytes: md.sizeBytes,
    };
    return [own, ...above(plan, `md/${md.name}`, name)];
  }
  const luks = plan.luks.find((one) => one.device === device);
  if (luks) {
    const own = {
      ...leaf(plan, `luks/${luks.name}`),
      name: luks.name,
      type: "crypt",
      parent,
      sizeBytes: luks.sizeBytes,
    };
    return [own, ...above(plan, `luks/${luks.name}`, luks.name)];
  }
  const vg = plan.vgs.find(({ devices }) => devices.includes(device));
  return plan.lvs
    .filter((lv) => lv.vg === vg?.name)
    .flatMap((lv) => {
      const name = `${lv.vg}-${lv.name}`;
      const ref = `lv/${lv.vg}/${lv.name}`;
      return [
        { ...leaf(plan, ref), name, type: "lvm", parent, sizeBytes: lv.sizeBytes },
        ...above(plan, ref, name),
      ];
    });
}
