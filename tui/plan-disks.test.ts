// The disks in the text of a plan: pictures, what stays, warnings, and how it stays readable for a fleet.
import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  type NodePlan,
  NodePlanSchema,
  type Plan,
  PlannedStepSchema,
  PlanSchema,
} from "../proto/gen/muster/v1/deployment_pb.ts";
import { DiskAction } from "../proto/gen/muster/v1/disk_plan_pb.ts";
import { emptyWorld } from "./model.ts";
import { drawnNodes, type PlanView, planLines } from "./plan-text.ts";
import { margin, textOf as textOfLine } from "./screens/lines.ts";
import { planScreen } from "./screens/plan.ts";
import { plan as three } from "./testing/plan.ts";
import { glyphsFor } from "./theme.ts";

const gib = 1n << 30n;
const sectors = (gibs: bigint) => (gibs * gib) / 512n;

/** A disk of which the second half stays, with an encrypted file system made in the first. */
const halfKept = create(NodePlanSchema, {
  node: "n1",
  role: "store",
  hostname: "n1",
  image: "debian-12",
  scheme: "half",
  disks: {
    disks: [
      {
        selector: "d",
        serial: "S1",
        model: "evil\u001b[31mred\u001b[0m",
        lastName: "sda",
        sizeBytes: 20n * gib,
        table: DiskAction.KEEP,
        destroys: ["partition sda1, 10 GiB, ext4"],
        keeps: ['partition sda2, 10 GiB, xfs, "srv"'],
        before: [
          { name: "sda1", description: "ext4\n", startBytes: 0n, sizeBytes: 10n * gib },
          { name: "sda2", description: "xfs", startBytes: 10n * gib, sizeBytes: 10n * gib, kept: true },
        ],
        partitions: [
          { number: 1, name: "os", lastLba: sectors(10n) - 1n, sizeBytes: 10n * gib, typeCode: "8309" },
          {
            number: 2,
            name: "srv",
            firstLba: sectors(10n),
            lastLba: sectors(20n) - 1n,
            sizeBytes: 10n * gib,
            typeCode: "8300",
            action: DiskAction.KEEP,
          },
        ],
      },
    ],
    luks: [{ name: "os", device: "partition/d/0/os", secret: "vault", sizeBytes: 10n * gib }],
    fss: [
      { device: "luks/os", type: "ext4", mount: "/" },
      { device: "partition/d/0/srv", type: "xfs", mount: "/srv", action: DiskAction.KEEP },
    ],
    warnings: ["the disk is chosen by its kernel name, which may change between two boots"],
  },
});

const textOf = (plan: Plan, view?: PlanView) => planLines(plan, view).map(({ text }) => text);

/** A cluster of so many nodes, each with its own disks and one join that waits for all of them. */
function fleet(count: number, nodeOf: (name: string) => NodePlan): Plan {
  const names = Array.from({ length: count }, (_, i) => `n${i + 1}`);
  const step = (node: string, task: string, requires: string[]) =>
    create(PlannedStepSchema, { id: `${node}/${task}`, node, task, requires });
  const steps = names.map((name) => step(name, "partition", []));
  const join = step(
    "n1",
    "join",
    steps.map(({ id }) => id),
  );
  return create(PlanSchema, {
    cluster: "demo",
    hash: "ab",
    nodes: names.map(nodeOf),
    steps: [...steps, join],
  });
}

const mirrored = (name: string): NodePlan => {
  const node = clone(NodePlanSchema, three.nodes[0] ?? create(NodePlanSchema));
  node.node = name;
  for (const disk of node.disks?.disks ?? []) disk.serial = `${name}-S`;
  return node;
};

describe("the disks of a plan", () => {
  it("are drawn, with what is destroyed, kept and created, and warnings", () => {
    expect(
      textOf(
        fleet(1, () => halfKept),
        { width: 60 },
      ).slice(0, 26),
    ).toMatchInlineSnapshot(`
      [
        "Plan for cluster demo: 1 node, 2 steps",
        "Disks before and after: x destroyed   = stays   + new",
        "",
        "n1  role store, host name n1, scheme half",
        "  image debian-12 sha256 ",
        "  d/0, serial S1, evilred, now sda, 20 GiB",
        "    before |xxxxx sda1 ext4  xxxxxx|====== sda2 xfs =======|",
        "    after  |+++++ os LUKS os ++++++|==== srv xfs /srv =====|",
        "  destroyed",
        "    disk serial S1 evilred, 20 GiB, now sda",
        "      partition sda1, 10 GiB, ext4",
        "  kept",
        "    disk serial S1 evilred, 20 GiB, now sda",
        "      partition sda2, 10 GiB, xfs, "srv"",
        "    partition/d/0/srv  10 GiB  partition 2 of S1, Linux",
        "    fs /srv                    xfs on partition/d/0/srv",
        "  created",
        "    partition/d/0/os  10 GiB  partition 1 of S1, LUKS",
        "    luks/os           10 GiB  encrypted partition/d/0/os, opened by secret vault",
        "    fs /                      ext4 on luks/os from image debian-12",
        "  warning: the disk is chosen by its kernel name, which may",
        "    change between two boots",
        "",
        "Order",
        "  1.  partition  n1",
        "  2.  join       n1  after partition",
      ]
    `);
  });

  it("name the image of every operating system, and that of a whole disk", () => {
    const made = (node: MessageInitShape<typeof NodePlanSchema>) => {
      const common = { node: "n1", image: "debian-12", imageDigest: "d1" };
      return textOf(fleet(1, () => create(NodePlanSchema, { ...common, ...node }))).map((line) =>
        line.trim(),
      );
    };
    const root = (device: string, os: string) => ({ device, type: "ext4", mount: "/", os: [os] });
    const lines = made({
      disks: { fss: [root("lv/vg0/a", "blue"), root("lv/vg0/b", "green")], rootDevice: "lv/vg0/a" },
      further: [{ device: "lv/vg0/b", image: "rescue", imageDigest: "d2" }],
    });
    expect(lines).toEqual(expect.arrayContaining(["image debian-12 sha256 d1", "image rescue sha256 d2"]));
    expect(lines).toContain("fs /    ext4 on lv/vg0/a of blue from image debian-12");
    expect(lines).toContain("fs /    ext4 on lv/vg0/b of green from image rescue");
    const disk = { selector: "os", serial: "S1", lastName: "sda", sizeBytes: 20n * gib };
    const whole = made({ disks: { disks: [disk], rootDevice: "disk/os/0" } });
    expect(whole).toContain("disk/os/0  20 GiB  the whole disk from image debian-12");
    expect(whole).toContainEqual(expect.stringMatching(/^after {2}\|\++ image of the whole disk \++\|$/));
  });

  it("are told apart by tone", () => {
    const tones = Map.groupBy(planLines(fleet(1, () => halfKept)), ({ tone }) => tone);
    const lines = (tone: "destroy" | "keep" | "warn") =>
      (tones.get(tone) ?? []).map(({ text }) => text.trim());
    expect(lines("destroy")).toContain("partition sda1, 10 GiB, ext4");
    expect(lines("keep")).toContain('partition sda2, 10 GiB, xfs, "srv"');
    expect(lines("keep")).toContainEqual(expect.stringMatching(/^fs \/srv .* xfs on partition\/d\/0\/srv$/));
    expect(lines("warn")[0]).toMatch(/^warning: the disk is chosen/);
  });

  it.each([60, 80, 120])("fit into %i columns: bars exactly, tables too", (width) => {
    const lines = textOf(fleet(drawnNodes, mirrored), { width });
    const bars = lines.filter((line) => /^ +(before|after ) \|/.test(line));
    expect(bars).toHaveLength(drawnNodes * 4);
    expect(new Set(bars.map((bar) => bar.length))).toEqual(new Set([width]));
    const table = lines.slice(lines.indexOf("Destroyed") + 1, lines.indexOf("Order"));
    expect(table[0]).toMatch(/^ {2}NODE +DISK +SERIAL +SIZE +DESTROYED$/);
    for (const row of table) expect(row.length).toBeLessThanOrEqual(width);
    expect(table.join(" ").replaceAll(/ +/g, " ")).toContain(
      'n4 vda n4-S 20 GiB partition vda1, 19 GiB, ext4 "old"',
    );
  });
});

describe("the plan's screen", () => {
  it.each([80, 100])("has the same lines, folded to %i columns", (width) => {
    const scene = { world: emptyWorld(), now: 0, width, glyphs: glyphsFor({}) };
    for (const shown of [fleet(drawnNodes, mirrored), fleet(100, mirrored)]) {
      const lines = planScreen(scene, shown).body.map(textOfLine);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width - margin);
      // Pictures and tables are not folded once more.
      const whole = textOf(shown, { width: width - margin }).filter((line) => line.length <= width - margin);
      expect(whole.filter((line) => !lines.includes(line))).toEqual([]);
    }
  });
});

describe("a fleet", () => {
  const hundred = fleet(100, mirrored);

  it("is shown by tables: each disk in a row, and what is made alike once", () => {
    const lines = textOf(hundred);
    expect(lines.length).toBeLessThan(360);
    expect(lines.filter((line) => /^ +(before|after ) \|/.test(line))).toEqual([]);
    expect(
      lines.filter((line) => /^ +n\d+ +controller +n1 +mirrored +debian-12 +written$/.test(line)),
    ).toHaveLength(100);
    expect(lines.filter((line) => / n\d+-S +20 GiB /.test(line))).toHaveLength(200);
    expect(lines.filter((line) => line.includes("lv/vg0/root  "))).toHaveLength(1);
    expect(lines).toContain("  1.  partition  100 nodes");
    expect(lines).toContain("  2.  join       n1         after partition, partition of 99 nodes");
    // Only names of devices and digests may be longer.
    const long = lines.filter((line) => line.length > 80);
    expect(long.every((line) => /sha256|RAID1 of/.test(line))).toBe(true);
  });

  it("is drawn where that is asked for", () => {
    const bars = textOf(hundred, { pictures: true }).filter((line) => /^ +before \|/.test(line));
    expect(bars).toHaveLength(200);
  });

  it("shows a warning once, with the nodes that it is about", () => {
    const nodeOf = (name: string) =>
      name === "n2" || name === "n5" ? { ...halfKept, node: name } : mirrored(name);
    const lines = textOf(fleet(5, nodeOf));
    const at = lines.indexOf("Warnings");
    expect(lines.slice(at + 1, at + 3)).toEqual([
      "  the disk is chosen by its kernel name, which may change between two boots",
      "    on 2 nodes: n2 n5",
    ]);
    expect(lines).toContainEqual(expect.stringMatching(/^ +n2 +sda +S1 .*partition sda2, 10 GiB,$/));
    expect(lines.slice(lines.indexOf("Kept") + 1)[0]).toBe("  on 2 nodes: n2 n5");
  });
});
