// Random schemes and machines for the properties of the disk planner: any mix of tables, sizes, arrays, encrypted
// devices, volumes and things to keep. Many of them fit no machine, and are refused.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import {
  type LvSchema,
  type PartitionSchema,
  type SchemeSpec,
  SchemeSpecSchema,
} from "../../proto/gen/muster/v1/manifest_pb.ts";
import { disk } from "./scheme-fixture.ts";
import { gib } from "./size.ts";

type Partition = MessageInitShape<typeof PartitionSchema>;
type Lv = MessageInitShape<typeof LvSchema>;
type Wish = Pick<Partition, "size" | "min" | "max" | "weight" | "byRam">;

const fixed = fc.oneof(
  fc.integer({ min: 1, max: 3000 }).map((n) => `${n} MiB`),
  fc.integer({ min: 1, max: 2 ** 31 }).map((n) => `${n} B`),
);
const wish: fc.Arbitrary<Wish> = fc.oneof(
  fixed.map((size) => ({ size })),
  fc.integer({ min: 1, max: 25 }).map((n) => ({ size: `${n}%`, max: "3 GiB" })),
  fc.integer({ min: 1, max: 30 }).map((n) => ({ size: `${n}% of RAM`, min: "64 MiB" })),
  fc.record({ size: fc.constant("remaining"), weight: fc.integer({ min: 1, max: 5 }) }),
  fc.constant({ size: "remaining", weight: 1, min: "100 MiB", max: "2 GiB" }),
  fixed.map((size) => ({ byRam: [{ upTo: "4 GiB", size }, { size: "512 MiB" }] })),
);

const volume = fc.record({
  wish,
  type: fc.constantFrom("linear", "linear", "striped", "mirror", "thin_pool"),
  kept: fc.boolean(),
});

/** The layout on each of some equal disks; `kept` says what of it keeps its data. */
export const anyScheme: fc.Arbitrary<SchemeSpec> = fc
  .record({
    label: fc.constantFrom("gpt", "gpt", "msdos"),
    plain: fc.array(fc.record({ wish, kept: fc.boolean() }), { maxLength: 3 }),
    md: fc.constantFrom(undefined, 0, 1, 10),
    metadata: fc.constantFrom("", "1.0", "0.90"),
    encrypted: fc.boolean(),
    volumes: fc.array(volume, { maxLength: 4 }),
    others: fc.constantFrom("", "keep", "wipe"),
  })
  .map(({ label, plain, md, metadata, encrypted, volumes, others }) => {
    const gpt = label === "gpt";
    const os: Partition = { name: "os", size: "4 GiB", keepData: false };
    const pool: Partition = { name: "pool", size: "remaining", weight: 2 };
    const partitions: Partition[] = [
      ...(gpt ? [{ name: "bios", size: "1 MiB", flags: ["bios_grub"] }] : []),
      os,
      ...plain.map((one, i) => ({ ...one.wish, name: `p${i}`, keepData: one.kept })),
      pool,
    ];
    const member = md === undefined ? "partition/pool" : "md/pool";
    const base = encrypted ? "luks/pool" : member;
    const lvs = volumes.map(
      ({ wish: own, type, kept }, i): Lv => ({
        ...own,
        name: `v${i}`,
        vg: "vg",
        type,
        keepData: kept,
        ...(type === "striped" || type === "mirror"
          ? { [type === "mirror" ? "mirrors" : "stripes"]: 2 }
          : {}),
      }),
    );
    return create(SchemeSpecSchema, {
      name: "any",
      disks: [{ id: "d", hints: { tran: "virtio" }, count: 2 }],
      parteds: [{ disks: "d", label, others, partitions, bootloader: gpt ? "" : "install" }],
      mds: [
        { name: "os", level: 1, devices: ["partition/os"] },
        ...(md === undefined ? [] : [{ name: "pool", level: md, metadata, devices: ["partition/pool"] }]),
      ],
      // Only one device can be encrypted by that name.
      luks: encrypted
        ? [{ name: "pool", device: md === undefined ? "partition/pool/0" : member, secret: "s" }]
        : [],
      vgs: [{ name: "vg", devices: [base], others }],
      lvs,
      fss: [{ device: "md/os", type: "ext4", mount: "/" }],
    });
  });

export const anyMachine = fc
  .record({
    sizes: fc.array(fc.bigInt(6n * gib, 3000n * gib), { minLength: 2, maxLength: 4 }),
    sector: fc.constantFrom(512, 4096),
    spare: fc.bigInt(0n, 1n << 20n),
    memory: fc.bigInt(gib, 64n * gib),
  })
  .map(({ sizes, sector, spare, memory }) =>
    create(InventorySchema, {
      memoryBytes: memory,
      disks: sizes.map((size, i) =>
        disk(`vd${"abcd"[i]}`, {
          // Odd sizes, but whole sectors; those after the second are none of the scheme's.
          sizeBytes: ((size + spare) / BigInt(sector)) * BigInt(sector),
          logicalSectorBytes: sector,
          physicalSectorBytes: 4096,
          tran: i < 2 ? "virtio" : "sata",
        }),
      ),
    }),
  );
