import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { Refusal, schemeProgram } from "./scheme-cli.ts";

const preset = (name: string) => join(import.meta.dirname, `../examples/schemes/${name}.yaml`);
let dir = "";

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "muster-scheme-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** What a command prints. */
async function muster(...argv: string[]): Promise<string> {
  let printed = "";
  await schemeProgram((text) => {
    printed += text;
  }).parseAsync(argv, { from: "user" });
  return printed;
}

function file(name: string, content: string): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  return path;
}

const device = (name: string, more = {}) => ({
  name,
  kname: name,
  type: "disk",
  size: 20 * 2 ** 30,
  serial: `S-${name}`,
  tran: "sata",
  "log-sec": 512,
  "phy-sec": 4096,
  mountpoints: [null],
  ...more,
});

const lsblk = JSON.stringify({
  blockdevices: [
    device("sda", {
      pttype: "gpt",
      children: [
        {
          ...device("sda1", { type: "part", size: 2 ** 30, start: 2048, partlabel: "root", fstype: "ext4" }),
          parttype: "0fc63daf-8483-4772-8e79-3d69d8477de4",
          mountpoints: ["/"],
        },
      ],
    }),
    device("sdb"),
    device("sdc", { tran: "usb" }),
    device("sdd", { children: [device("mpatha", { type: "mpath" })] }),
    device("sde", { mountpoints: ["/run/live/medium"] }),
  ],
});

async function inventory(): Promise<string> {
  return file("inventory.json", await muster("inventory", "from-lsblk", file("lsblk.json", lsblk)));
}

describe("muster inventory from-lsblk", () => {
  it("makes an inventory of what lsblk says", async () => {
    const { disks, memoryBytes } = parse(
      await muster("inventory", "from-lsblk", file("l.json", lsblk), "--memory", "2 GiB"),
    );
    expect(memoryBytes).toBe("2147483648");
    expect(disks[0]).toMatchObject({ name: "sda", serial: "S-sda", tableType: "gpt", bootMedium: true });
    expect(disks[0].contents[0]).toMatchObject({
      name: "sda1",
      partNumber: 1,
      startBytes: "1048576",
      partName: "root",
      partType: "0fc63daf-8483-4772-8e79-3d69d8477de4",
    });
    expect(disks.map((disk: { multipathMember?: boolean }) => disk.multipathMember === true)).toEqual([
      false,
      false,
      false,
      true,
      false,
    ]);
  });

  it("takes a disk that is mounted for one with something on it, whatever that is", async () => {
    const bare = JSON.stringify({ blockdevices: [device("sda", { mountpoints: ["/"] })] });
    const { disks } = parse(await muster("inventory", "from-lsblk", file("bare.json", bare)));
    expect(disks[0].contents).toMatchObject([{ name: "sda", mountPoints: ["/"] }]);
  });

  it("refuses what is none", async () => {
    await expect(muster("inventory", "from-lsblk", file("x", "NAME SIZE"))).rejects.toThrow(
      /is no output of `lsblk -J -O -b`/,
    );
    await expect(muster("inventory", "from-lsblk", join(dir, "missing"))).rejects.toThrow(Refusal);
  });
});

describe("muster scheme plan", () => {
  it("plans without a daemon, on the disks that may be used", async () => {
    const argv = ["scheme", "plan", "-f", preset("raid1"), "--inventory", await inventory()];
    const plan = parse(await muster(...argv, "-o", "json"));
    expect(plan.disks.map(({ serial }: { serial: string }) => serial)).toEqual(["S-sda", "S-sdb"]);
    expect(parse(await muster(...argv, "-o", "yaml"))).toEqual(plan);
    expect(await muster(...argv)).toContain("sda1 root ext4");
    expect(await muster(...argv, "-o", "svg")).toMatch(/^<svg .*<\/svg>\n$/s);
  });

  it("draws a fleet, with one table of what is destroyed where", async () => {
    const other = file(
      "other.json",
      (await muster("inventory", "from-lsblk", file("l.json", lsblk))).replaceAll("S-sd", "T-sd"),
    );
    const argv = [
      "scheme",
      "plan",
      "-f",
      preset("raid1"),
      "--inventory",
      await inventory(),
      "--inventory",
      other,
    ];
    const drawn = (await muster(...argv)).replaceAll(`${dir}/`, "");
    // What does not fit into a line goes on in the next.
    const table = drawn.slice(drawn.indexOf("\nNODE")).replaceAll(/\s+/g, " ").trim();
    const lost = 'partition sda1, 1 GiB, ext4, "root", mounted at /';
    expect(table).toBe(
      [
        "NODE DISK SERIAL SIZE DESTROYED",
        `inventory.json sda S-sda 20 GiB ${lost}`,
        "inventory.json sdb S-sdb 20 GiB nothing found",
        `other.json sda T-sda 20 GiB ${lost}`,
        "other.json sdb T-sdb 20 GiB nothing found",
      ].join(" "),
    );
    expect(
      parse(await muster(...argv, "-o", "json")).map(
        ({ disks }: { disks: { rootDevice: string } }) => disks.rootDevice,
      ),
    ).toEqual(["md/root", "md/root"]);
    await expect(muster(...argv, "-o", "svg")).rejects.toThrow("an SVG shows one machine");
  });

  it("is refused with all reasons", async () => {
    const argv = ["scheme", "plan", "-f", preset("raid1"), "--inventory", await inventory()];
    const refused = await muster(...argv, "--protect", "s-SDB").catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Refusal);
    expect(String(refused)).toContain("only 1 matches");
    expect(String(refused)).toContain("sdb (serial S-sdb, 20 GiB): is protected");
    expect(String(refused)).toContain("sdc (serial S-sdc, 20 GiB): is a USB disk");
    expect(String(refused)).toContain("sdd (serial S-sdd, 20 GiB): is a path of a multipath disk");
    expect(String(refused)).toContain(
      "sde (serial S-sde, 20 GiB): is what the running live system reads from",
    );
    await expect(
      muster("scheme", "plan", "-f", preset("flat"), "--inventory", await inventory()),
    ).rejects.toThrow("sizes depend on the memory of the node, which its inventory does not say");
  });

  it("says where a manifest is wrong", async () => {
    const wrong = file("wrong.yaml", "kind: Scheme\nname: x\nparteds: []\n");
    await expect(muster("scheme", "plan", "-f", wrong, "--inventory", await inventory())).rejects.toThrow(
      "wrong.yaml:1:1: disks: has at least 1 item; it has 0",
    );
    const rootless = file(
      "rootless.yaml",
      "kind: Scheme\nname: x\ndisks: [{ id: d }]\nparteds: [{ disks: d, partitions: [{ name: bios, size: 1 MiB, flags: [bios_grub] }] }]\n" +
        "fss:\n  - { device: partition/boot, type: ext4, mount: /boot }\n",
    );
    await expect(muster("scheme", "plan", "-f", rootless, "--inventory", await inventory())).rejects.toThrow(
      /rootless.yaml:6:15: fss\[0\].device: there is no device `partition\/boot`; .*\n.*rootless.yaml:6:3: fss: none is mounted at \//,
    );
    const two = file("two.yaml", "kind: Role\nname: r\nimage: i\nscheme: s\n");
    await expect(muster("scheme", "plan", "-f", two, "--inventory", await inventory())).rejects.toThrow(
      "has 0 documents of kind: Scheme; it needs exactly one",
    );
    await expect(
      muster("scheme", "plan", "-f", preset("flat"), "--inventory", preset("flat")),
    ).rejects.toThrow("is no inventory");
  });
});

describe("a scheme for an image of a whole disk", () => {
  it("is drawn as one piece", async () => {
    const argv = ["scheme", "plan", "-f", preset("whole-disk"), "--inventory", await oneDisk()];
    const text = await muster(...argv);
    expect(text).toMatch(/^ {2}after {2}\|\++ image of the whole disk \++\|$/m);
    expect(text).toMatch(/^ {2}before {2}sda1 root ext4 +1 GiB +destroyed$/m);
    expect(parse(await muster(...argv, "-o", "json"))).toMatchObject({
      rootDevice: "disk/system/0",
      disks: [{ serial: "S-sda", destroys: ['partition sda1, 1 GiB, ext4, "root", mounted at /'] }],
    });
  });

  it("is refused with the place of the fault", async () => {
    const disks = "disks:\n  - { id: d, count: 2 }\n";
    const refusal = async (text: string) => {
      const scheme = file("whole.yaml", `---\nkind: Scheme\nname: w\n${text}`);
      const argv = ["scheme", "plan", "-f", scheme, "--inventory", await oneDisk()];
      const error = await muster(...argv).catch((caught: unknown) => caught);
      return String(error).replaceAll(`${dir}/`, "");
    };
    expect(await refusal(disks)).toBe(
      "Refusal: whole.yaml:2:1: needs parteds and fss; or whole_disk, if the image is that of a whole disk",
    );
    const fss = "fss: [{ device: partition/a, type: ext4, mount: / }]\n";
    expect(await refusal(`${disks}whole_disk: d\n${fss}`)).toContain(
      "whole.yaml:2:1: has whole_disk, so the image brings everything that is on the disk: remove parteds,",
    );
    expect(await refusal(`${disks}whole_disk: d\n`)).toBe(
      "Refusal: whole.yaml:5:21: disks[0].count: an image of a whole disk goes onto one disk; found 2",
    );
    expect(await refusal(`${disks}whole_disk: dd\n`)).toBe(
      "Refusal: whole.yaml:6:13: whole_disk: there is no disk selector `dd`; did you mean `d`?",
    );
  });

  async function oneDisk(): Promise<string> {
    const { blockdevices } = JSON.parse(lsblk) as { blockdevices: unknown[] };
    const one = file("one.json", JSON.stringify({ blockdevices: blockdevices.slice(0, 1) }));
    return file("one-inventory.json", await muster("inventory", "from-lsblk", one));
  }
});

describe("muster scheme convert", () => {
  const layout = {
    parteds: [
      {
        name: "/dev/sda",
        label: "gpt",
        install_bootloader: true,
        partitions: [
          { name: "/dev/sda1", count: 1, begin: 1, end: 25, flags: ["bios_grub"] },
          { name: "/dev/sda2", count: 2, begin: 25, end: 9000 },
        ],
      },
    ],
    fss: [{ device: "/dev/sda2", mount: "/", fs_type: "ext4" }],
  };

  it("prints a manifest that can be planned at once", async () => {
    const scheme = await muster(
      "scheme",
      "convert",
      "--from",
      "bareon",
      file("b.json", JSON.stringify(layout)),
    );
    expect(parse(scheme)).toMatchObject({ kind: "Scheme", name: "converted" });
    const argv = ["scheme", "plan", "-f", file("c.yaml", scheme), "--inventory", await inventory()];
    expect(await muster(...argv)).toContain("warning: disks sda is chosen by the kernel's name");
    const native = await muster("scheme", "convert", "--from", "native", join(dir, "c.yaml"));
    expect(parse(native)).toEqual(parse(scheme));
  });

  it("takes converters of other packages", async () => {
    const driver = file(
      "driver.mjs",
      `export function register(registry) {
        registry.register({ name: "none", convert: () => ({ ok: false, faults: [{ path: "a.b", message: "no" }] }) });
      }`,
    );
    const argv = ["scheme", "convert", "--driver", driver, "--from", "none", file("d.json", "{}")];
    await expect(muster(...argv)).rejects.toThrow("d.json cannot be expressed as a scheme:\n  a.b: no");
    await expect(muster("scheme", "convert", "--from", "none", join(dir, "d.json"))).rejects.toThrow(
      "there is no converter `none`; it is one of native, bareon, nailgun, curtin",
    );
    await expect(
      muster("scheme", "convert", "--driver", file("e.mjs", ""), "--from", "none", join(dir, "d.json")),
    ).rejects.toThrow("exports no function `register`");
  });
});
