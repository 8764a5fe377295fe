// The content of every file that makes a copy of an image one machine.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { SeedStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { crypttab, fstab, keyFiles, machineFiles, openedByFile, storageFiles } from "./seed-files.ts";

const plan = create(DiskPlanSchema, {
  mds: [{ name: "os" }],
  fss: [
    { device: "lv/vg0/swap", type: "swap" },
    { device: "lv/vg0/data", type: "xfs", mount: "/data", options: "noatime" },
    { device: "partition/os/0/esp", type: "vfat", mount: "/boot/efi", copies: ["partition/os/1/esp"] },
    { device: "lv/vg0/root", type: "ext4", mount: "/" },
    { device: "lv/vg0/spare", type: "xfs" },
  ],
  rootDevice: "lv/vg0/root",
});
const uuids = new Map(plan.fss.map(({ device }, index) => [device, `u${index}`]));
const step = create(SeedStepSchema, {
  plan,
  hostname: "node-1",
  domain: "lab.test",
  instanceId: "123",
  mac: "52:54:00:77:00:10",
});
const identity = { node: "n", joinBundle: '{"a":1}', imageKey: "", privateKey: "KEY", certificate: "CERT" };
const arrayUuids = new Map([["os", "1:2:3:4"]]);
const luksUuids = new Map();
const files = [
  ...storageFiles({ plan, uuids, arrayUuids, luksUuids }),
  ...machineFiles(step, "ab12", identity),
];

function content(path: string): string {
  return files.find((file) => file.path === path)?.content ?? "";
}

test("fstab", () => {
  expect(fstab(plan, uuids)).toBe(`UUID=u3 / ext4 errors=remount-ro 0 1
UUID=u1 /data xfs noatime,nofail 0 2
UUID=u2 /boot/efi vfat umask=0077,nofail 0 2
UUID=u0 none swap sw 0 0
`);
  expect(() => fstab(plan, new Map())).toThrow("lv/vg0/root has no UUID");
});

test("fstab has only what its own operating system uses, and nothing that is to stay out", () => {
  const two = create(DiskPlanSchema, {
    fss: [
      { device: "a", type: "btrfs", mount: "/", os: ["one"] },
      { device: "b", type: "ext4", mount: "/", os: ["two"] },
      { device: "c", type: "ext4", mount: "/shared" },
      { device: "d", type: "swap", noFstab: true },
    ],
    systems: [
      { os: "one", rootDevice: "a" },
      { os: "two", rootDevice: "b" },
    ],
    rootDevice: "a",
  });
  const known = new Map(["a", "b", "c", "d"].map((device) => [device, device]));
  expect(fstab(two, known)).toBe("UUID=a / btrfs defaults 0 1\nUUID=c /shared ext4 defaults,nofail 0 2\n");
});

test("crypttab: the initramfs asks for root, the rest opens by files on root and does not hold up the boot", () => {
  const locked = create(DiskPlanSchema, {
    luks: [
      { name: "safe", device: "partition/os/0/a" },
      { name: "more", device: "partition/os/0/b" },
    ],
    vgs: [{ name: "vg0", devices: ["luks/safe"] }],
    lvs: [{ name: "root", vg: "vg0" }],
    rootDevice: "lv/vg0/root",
  });
  const facts = {
    plan: locked,
    luksUuids: new Map([
      ["safe", "u1"],
      ["more", "u2"],
    ]),
  };
  expect(crypttab(facts)).toBe(
    "safe UUID=u1 none luks,initramfs\nmore UUID=u2 /etc/cryptsetup-keys.d/more.key luks,nofail\n",
  );
  expect(openedByFile(locked).map(({ name }) => name)).toEqual(["more"]);
  const key = Buffer.from("byte by byte\n");
  expect(keyFiles(new Map([["more", key]]))).toEqual([
    { path: "/etc/cryptsetup-keys.d/more.key", content: key, mode: 0o600 },
  ]);
});

test("an operating system has no key of what only another one uses", () => {
  const locked = create(DiskPlanSchema, {
    luks: [
      { name: "safe", device: "partition/os/0/a" },
      { name: "both", device: "partition/os/0/b" },
    ],
    fss: [
      { device: "partition/os/0/c", type: "ext4", mount: "/", os: ["open"] },
      { device: "luks/safe", type: "ext4", mount: "/", os: ["closed"] },
      { device: "luks/both", type: "ext4", mount: "/srv" },
    ],
    systems: [
      { os: "open", rootDevice: "partition/os/0/c" },
      { os: "closed", rootDevice: "luks/safe" },
    ],
  });
  const luksUuids = new Map([
    ["safe", "u1"],
    ["both", "u2"],
  ]);
  const crypttabOf = (rootDevice: string) => crypttab({ plan: { ...locked, rootDevice }, luksUuids });
  const byFile = "both UUID=u2 /etc/cryptsetup-keys.d/both.key luks,nofail\n";
  expect(crypttabOf("partition/os/0/c")).toBe(byFile);
  expect(crypttabOf("luks/safe")).toBe(`safe UUID=u1 none luks,initramfs\n${byFile}`);
});

test("mdadm.conf of an array with the old metadata, which has no name", () => {
  const old = create(DiskPlanSchema, { mds: [{ name: "os", metadata: "0.90" }] });
  const conf = storageFiles({ plan: old, uuids, arrayUuids, luksUuids }).find(
    ({ path }) => path === "/etc/mdadm/mdadm.conf",
  );
  expect(conf?.content).toContain("ARRAY /dev/md/os metadata=0.90 UUID=1:2:3:4\n");
});

test("mdadm.conf names the arrays, and is left out where there are none", () => {
  expect(content("/etc/mdadm/mdadm.conf")).toBe(`HOMEHOST <system>
MAILADDR root
ARRAY /dev/md/os metadata=1.2 name=any:os UUID=1:2:3:4
`);
  const plain = create(DiskPlanSchema, { ...plan, mds: [] });
  const paths = storageFiles({ plan: plain, uuids, arrayUuids, luksUuids }).map(({ path }) => path);
  expect(paths).not.toContain("/etc/mdadm/mdadm.conf");
});

test("cloud-init's seed", () => {
  const seed = "/var/lib/cloud/seed/nocloud";
  // A number would not be the id that was asked for.
  expect(parse(content(`${seed}/meta-data`))).toEqual({ "instance-id": "123", "local-hostname": "node-1" });
  expect(content(`${seed}/user-data`)).toMatch(/^#cloud-config\n/);
  expect(parse(content(`${seed}/user-data`))).toEqual({
    fqdn: "node-1.lab.test",
    preserve_hostname: false,
    manage_etc_hosts: true,
    ssh_pwauth: false,
    ssh_genkeytypes: ["ed25519"],
    locale: false,
  });
  expect(content(`${seed}/network-config`)).toContain('macaddress: "52:54:00:77:00:10"');
  expect(parse(content(`${seed}/network-config`))).toEqual({
    version: 2,
    ethernets: {
      lan0: { match: { macaddress: "52:54:00:77:00:10" }, dhcp4: true, dhcp6: false, "accept-ra": false },
    },
  });
});

test("the agent's identity, its secrets for root alone", () => {
  expect(content("/var/lib/muster/agent/image-digest")).toBe("ab12\n");
  expect(content("/etc/muster/join.json")).toBe('{"a":1}');
  const secret = files.filter((file) => file.mode === 0o600).map((file) => file.path);
  expect(secret).toEqual(["/etc/muster/join.json", "/var/lib/muster/agent/key.pem"]);
});
