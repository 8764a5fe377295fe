// Sizes of volume groups and logical volumes, in whole extents, and the physical volumes that each is put on.
import { create } from "@bufbuild/protobuf";
import {
  DiskAction,
  type PlannedLv,
  PlannedLvSchema,
  type PlannedPv,
  PlannedPvSchema,
  type PlannedVg,
  PlannedVgSchema,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Lv, SchemeSpec, Vg } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import { extentBytes, physicalVolumeRoom } from "./array-size.ts";
import { type Cost, divide, type Frame } from "./divide.ts";
import type { Planning } from "./planning.ts";
import { least, mib, most, parseBytes, roundDown, roundUp } from "./size.ts";

type Room = { device: string; free: bigint };
/** A group while it is planned. */
type Group = { vg: Vg; planned: PlannedVg; pvs: PlannedPv[]; rooms: Room[]; used: bigint };

/** What order volumes are made in: what needs certain physical volumes first, what lies in a pool last. */
const turn: Record<string, number> = { striped: 0, mirror: 0, thin_pool: 1, linear: 2, thin: 3 };

export function planGroup(scheme: SchemeSpec, vg: Vg, planning: Planning): void {
  const devices = vg.devices.flatMap((device) => planning.names.expand(device));
  const kept = planning.kept.group(vg.name);
  const pvs = devices.map((device) => {
    const pv = scheme.pvs.find((one) => planning.names.expand(one.device).includes(device));
    const metadataBytes = parseBytes(pv?.metadataSize ?? "") ?? 0n;
    const copies = pv?.metadataCopies || 1;
    const room = physicalVolumeRoom(
      planning.sizes.get(device) ?? 0n,
      planning.stripes.get(device) ?? 0n,
      metadataBytes,
      copies,
    );
    return {
      extentsBytes: room.extentsBytes,
      planned: create(PlannedPvSchema, {
        device,
        vg: vg.name,
        metadataBytes,
        metadataCopies: copies,
        dataAlignmentBytes: room.dataAlignmentBytes,
        action: kept ? DiskAction.KEEP : DiskAction.CREATE,
      }),
    };
  });
  const planned = create(PlannedVgSchema, {
    name: vg.name,
    devices,
    extentBytes,
    sizeBytes: pvs.reduce((sum, { extentsBytes }) => sum + extentsBytes, 0n),
    action: kept ? DiskAction.KEEP : DiskAction.CREATE,
    removes: kept?.removes ?? [],
  });
  const group: Group = {
    vg,
    planned,
    pvs: pvs.map((pv) => pv.planned),
    rooms: pvs.map(({ planned: { device }, extentsBytes }) => ({ device, free: extentsBytes })),
    used: kept?.usedBytes ?? 0n,
  };
  planning.plan.vgs.push(planned);
  planning.plan.pvs.push(...group.pvs);
  planVolumes(scheme, group, planning);
}

function planVolumes(scheme: SchemeSpec, group: Group, planning: Planning): void {
  const own = scheme.lvs.filter(({ vg }) => vg === group.vg.name);
  const made = own.filter(
    ({ name, type }) => !planning.kept.has(`lv/${group.vg.name}/${name}`) && type !== "thin",
  );
  const frame: Frame = {
    whole: group.planned.sizeBytes,
    room: most(group.planned.sizeBytes - group.used, 0n),
    unit: extentBytes,
    memory: planning.memory,
  };
  const divided = divide(
    made.map((lv) => ({ ...lv, cost: costOf(lv, group) })),
    frame,
  );
  if (!divided.ok) planning.refuse(`volume group ${group.vg.name}: ${divided.message}`);
  made.forEach((lv, i) => {
    const size = divided.ok ? (divided.sizes[i] ?? 0n) : 0n;
    // Its cost is that of whole stripes: what was asked for is not cut.
    planning.sizes.set(`lv/${lv.vg}/${lv.name}`, roundUp(size, extentBytes * BigInt(stripesOf(lv, group))));
  });
  for (const pool of own.filter(({ type }) => type === "thin_pool")) sizeThin(own, pool, planning);
  const order = [...own].sort((a, b) => (turn[a.type || "linear"] ?? 2) - (turn[b.type || "linear"] ?? 2));
  for (const lv of order) planning.plan.lvs.push(planVolume(lv, group, planning, divided.ok));
}

/** Thin volumes may promise more than their pool has, and are warned of if they do. */
function sizeThin(own: Lv[], pool: Lv, planning: Planning): void {
  const whole = planning.sizes.get(`lv/${pool.vg}/${pool.name}`) ?? 0n;
  const thin = own.filter((lv) => lv.type === "thin" && lv.pool === pool.name);
  let promised = 0n;
  for (const lv of thin) {
    const name = `lv/${lv.vg}/${lv.name}`;
    const divided = divide([lv], { whole, room: 1n << 60n, unit: extentBytes, memory: planning.memory });
    if (!planning.kept.has(name)) planning.sizes.set(name, divided.ok ? (divided.sizes[0] ?? 0n) : 0n);
    promised += planning.sizes.get(name) ?? 0n;
  }
  if (promised > whole && whole > 0n) {
    planning.warn(
      `thin pool ${pool.vg}/${pool.name} has ${formatBytes(whole)}, its volumes promise ${formatBytes(promised)}: watch it, and extend it before it is full`,
    );
  }
}

function planVolume(lv: Lv, group: Group, planning: Planning, fits: boolean): PlannedLv {
  const name = `lv/${lv.vg}/${lv.name}`;
  const sizeBytes = planning.sizes.get(name) ?? 0n;
  const kept = planning.kept.has(name);
  const type = lv.type || "linear";
  const planned = create(PlannedLvSchema, {
    name: lv.name,
    vg: lv.vg,
    sizeBytes,
    type,
    stripes: type === "striped" ? stripesOf(lv, group) : 0,
    stripeBytes: type === "striped" ? (parseBytes(lv.stripeSize) ?? 64n * 1024n) : 0n,
    mirrors: type === "mirror" ? copiesOf(lv) : 0,
    pool: lv.pool,
    action: kept ? DiskAction.KEEP : DiskAction.CREATE,
    ...(type === "thin_pool" ? poolMetadata(sizeBytes) : {}),
  });
  if (!kept && fits && sizeBytes > 0n) planned.devices = placeVolume(planned, group, planning);
  return planned;
}

/** The physical volumes with the most room, where a volume needs several of its own. */
function placeVolume(lv: PlannedLv, group: Group, planning: Planning): string[] {
  const count = lv.stripes || lv.mirrors;
  if (count === 0) return [];
  const each = lv.mirrors ? lv.sizeBytes + extentBytes : lv.sizeBytes / BigInt(count);
  const chosen = [...group.rooms]
    .sort((a, b) => (a.free < b.free ? 1 : a.free > b.free ? -1 : 0))
    .slice(0, count);
  const what = `lv ${lv.vg}/${lv.name}`;
  if (group.planned.action === DiskAction.KEEP) {
    planning.refuse(`${what}: a ${lv.type} volume cannot be added to a group that is kept; make it linear`);
    return [];
  }
  if (chosen.length < count) {
    planning.refuse(
      `${what} needs ${count} physical volumes, and ${lv.vg} has ${group.rooms.length}; give the group more devices, or the volume fewer ${lv.mirrors ? "mirrors" : "stripes"}`,
    );
    return [];
  }
  const short = chosen.find(({ free }) => free < each);
  if (short) {
    planning.refuse(
      `${what} needs ${formatBytes(each)} on each of ${count} physical volumes, and ${short.device} has ${formatBytes(short.free)} left; make it smaller`,
    );
    return [];
  }
  for (const room of chosen) room.free -= each;
  return group.rooms.filter((room) => chosen.includes(room)).map(({ device }) => device);
}

function stripesOf(lv: Lv, group: Group): number {
  return lv.type === "striped" ? lv.stripes || group.rooms.length || 1 : 1;
}

function copiesOf(lv: Lv): number {
  return lv.mirrors || 2;
}

function costOf(lv: Lv, group: Group): Cost {
  switch (lv.type) {
    case "striped": {
      const unit = extentBytes * BigInt(stripesOf(lv, group));
      return { raw: (size) => roundUp(size, unit), fits: (raw) => roundDown(raw, unit) };
    }
    case "mirror": {
      const copies = BigInt(copiesOf(lv));
      return {
        raw: (size) => (size + extentBytes) * copies,
        fits: (raw) => roundDown(most(raw / copies - extentBytes, 0n), extentBytes),
      };
    }
    case "thin_pool":
      // The metadata, and as much again that LVM keeps for its repair.
      return {
        raw: (size) => size + 2n * poolMetadata(size).metadataBytes,
        fits: (raw) => most(raw - 2n * poolMetadata(raw).metadataBytes, 0n),
      };
    default:
      return { raw: (size) => size, fits: (raw) => raw };
  }
}

const mostPoolMetadata = 128n * mib;

/**
 * 64 bytes for each chunk of 64 KiB, and chunks that are larger where that would be more than 128 MiB. The metadata
 * is not made smaller with them: a larger pool must never cost less.
 */
function poolMetadata(size: bigint): { chunkBytes: bigint; metadataBytes: bigint } {
  let chunkBytes = 64n * 1024n;
  const metadata = most(roundUp((size / chunkBytes) * 64n, extentBytes), extentBytes);
  while ((size / chunkBytes) * 64n > mostPoolMetadata) chunkBytes *= 2n;
  return { chunkBytes, metadataBytes: least(metadata, mostPoolMetadata) };
}
