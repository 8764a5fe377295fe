import { clone, create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { DiskAction, DiskPlanSchema } from "../gen/muster/v1/disk_plan_pb.ts";
import { disksSvg, fleetSvg } from "./disk-svg.ts";
import { drawDisks } from "./disk-text.ts";
import { drawFleet } from "./fleet-text.ts";
import { lossTable } from "./loss-table.ts";

const mib = 1n << 20n;
const plan = create(DiskPlanSchema, {
  disks: [
    {
      selector: "os",
      index: 0,
      serial: "S<1>",
      model: "QEMU",
      lastName: "vda",
      sizeBytes: 1000n * mib,
      logicalSectorBytes: 512,
      destroys: ['partition vda1, 400 MiB, ext4, "old"'],
      keeps: ["partition vda2, 300 MiB, xfs"],
      before: [
        { name: "vda1", description: "old ext4", startBytes: mib, sizeBytes: 400n * mib },
        { name: "vda2", description: "xfs", startBytes: 401n * mib, sizeBytes: 300n * mib, kept: true },
      ],
      partitions: [
        { number: 1, name: "bios", firstLba: 2048n, lastLba: 4095n, sizeBytes: mib },
        { number: 3, name: "root", firstLba: 4096n, lastLba: 2048n * 401n - 1n, sizeBytes: 399n * mib },
        {
          number: 2,
          name: "data",
          firstLba: 2048n * 401n,
          lastLba: 2048n * 701n - 1n,
          sizeBytes: 300n * mib,
          action: DiskAction.KEEP,
        },
      ],
    },
    {
      selector: "os",
      index: 1,
      wwn: "0x5",
      lastName: "vdb",
      sizeBytes: 1000n * mib,
      logicalSectorBytes: 512,
      destroys: ["nothing found"],
    },
  ],
  fss: [
    { device: "partition/os/0/root", type: "ext4", mount: "/" },
    { device: "partition/os/0/data", type: "xfs", mount: "/srv", action: DiskAction.KEEP },
  ],
  warnings: ["look twice"],
});

describe("the disks of a plan", () => {
  it("are drawn to scale, before and after", () => {
    expect(drawDisks(plan, 60).join("\n")).toBe(
      [
        "os/0, serial S<1>, QEMU, now vda, 1000 MiB",
        "  before |xx vda1 old ext4 xx|== vda2 xfs ==|     free     |",
        "  after  |+|++ root ext4 / +++|=====data=====|    free     |",
        "  before  vda1 old ext4  400 MiB  destroyed",
        "  before  vda2 xfs       300 MiB  stays",
        "  after   bios           1 MiB    new",
        "  after   root ext4 /    399 MiB  new",
        "  after   data xfs /srv  300 MiB  stays",
        "",
        "os/1, wwn 0x5, now vdb, 1000 MiB",
        "  before |                      free                       |",
        "  after  |                      free                       |",
        "",
        "on them",
        "  fs /       new    ext4 on partition/os/0/root",
        "  fs /srv    stays  xfs on partition/os/0/data",
        "",
        "warning: look twice",
        "x destroyed   = stays   + new",
      ].join("\n"),
    );
  });

  it("have bars of the same width, however small their parts", () => {
    for (const width of [30, 61, 100, 200]) {
      const bars = drawDisks(plan, width).filter((line) => /^ {2}(before|after ) \|/.test(line));
      expect(bars).toHaveLength(4);
      expect(new Set(bars.map((bar) => bar.length))).toEqual(new Set([width]));
    }
  });

  it("are an SVG with the same pieces, and without what a disk's name could break", () => {
    const svg = disksSvg(plan);
    expect(svg).toContain("serial S&lt;1&gt;");
    expect(svg).not.toContain("S<1>");
    for (const piece of [
      "vda1 old ext4 400 MiB",
      "vda2 xfs 300 MiB",
      "root ext4 / 399 MiB",
      "data xfs /srv 300 MiB",
    ])
      expect(svg).toContain(`<title>${piece}</title>`);
    // 400 of 1000 MiB on 880 of 960.
    expect(svg).toMatch(/<title>vda1 old ext4 400 MiB<\/title><rect x="70.9" y="\d+" width="352"/);
  });

  it("are one row each in the table of a fleet", () => {
    const [header, first, second, ...rest] = lossTable([
      { node: "n1", disks: plan },
      { node: "n2", disks: undefined },
    ]);
    expect(header).toMatch(/^NODE +DISK +SERIAL +SIZE +DESTROYED +STAYS$/);
    expect(first).toMatch(
      /^n1 +vda +S<1> +1000 MiB +partition vda1, 400 MiB, ext4, "old" +partition vda2, 300 MiB, xfs$/,
    );
    expect(second).toMatch(/^n1 +vdb +0x5 +1000 MiB +nothing found$/);
    expect(rest).toEqual([]);
  });

  it("show nothing that could change a terminal or break a picture", () => {
    const evil = clone(DiskPlanSchema, plan);
    const [disk] = evil.disks;
    if (!disk?.before[0]) throw new Error("the plan has no disk");
    disk.model = "QE\u001b[31mMU\u0007";
    disk.before[0].description = "old\n\u009b2Jext4";
    disk.destroys = ["partition\r\n\u001b[2Jvda1"];
    evil.warnings = ["look\u0000 twice"];
    const nodes = [{ node: "n1", disks: evil }];
    for (const text of [...drawFleet(nodes), ...lossTable(nodes), ...fleetSvg(nodes).trim().split("\n")])
      expect(text).toMatch(/^[\x20-\x7e]*$/);
    expect(drawFleet(nodes)).toEqual(drawFleet([{ node: "n1", disks: plan }]));
  });
});

describe("a fleet", () => {
  const nodes = [{ node: "n1", disks: plan }, { node: "n2" }];

  it("is drawn in the given width, and its table wraps what does not fit", () => {
    for (const width of [60, 80, 120]) {
      const lines = drawFleet(nodes, width);
      const bars = lines.filter((line) => /^ {4}(before|after ) \|/.test(line));
      expect(bars.map((bar) => bar.length)).toEqual([width, width, width, width]);
      const table = lines.slice(lines.findIndex((line) => line.startsWith("NODE")));
      expect(Math.max(...table.map((row) => row.length))).toBeLessThanOrEqual(width);
      expect(words(table).sort()).toEqual(words(lossTable(nodes)).sort());
    }
    expect(drawFleet(nodes).join("\n")).toContain("\nn2\n  no disk is touched\n");
  });

  it("is one SVG, with the disks of each node below its name", () => {
    const svg = fleetSvg([...nodes, { node: "n3", disks: plan }]);
    const heights = [...svg.matchAll(/y="(\d+)"[^>]*>(n\d|os\/\d)/g)].map(([, y, name]) => [name, Number(y)]);
    expect(heights.map(([name]) => name)).toEqual(["n1", "os/0", "os/1", "n2", "n3", "os/0", "os/1"]);
    expect(heights).toEqual([...heights].sort(([, a], [, b]) => Number(a) - Number(b)));
    expect(svg).toContain(">n2: no disk is touched</text>");
    expect(svg.match(/<svg/g)).toHaveLength(1);
  });
});

function words(lines: string[]): string[] {
  return lines.flatMap((line) => line.split(/ +/)).filter(Boolean);
}
