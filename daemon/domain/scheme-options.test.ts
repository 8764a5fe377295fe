// Options of a scheme go to commands that also get a key and a device, which are not the scheme's to choose.
import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { LuksSchema, LvSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { checkScheme } from "./scheme-check.ts";
import { mirror } from "./scheme-fixture.ts";

function encrypted(options: string[]): string[] {
  const scheme = mirror((s) => {
    s.lvs.splice(2, 1, create(LvSchema, { name: "data", vg: "vg0", size: "1 GiB" }));
    s.luks = [create(LuksSchema, { name: "data", device: "lv/vg0/data", secret: "k", options })];
    Object.assign(s.fss[2] ?? {}, { device: "luks/data" });
  });
  return checkScheme(scheme).map(({ path, message }) => `${path}: ${message}`);
}

function made(mkfsOptions: string[]): string[] {
  const scheme = mirror((s) => {
    Object.assign(s.fss[0] ?? {}, { mkfsOptions });
  });
  return checkScheme(scheme).map(({ path, message }) => `${path}: ${message}`);
}

it.each([
  [["--cipher=aes-xts-plain64", "--key-size=512", "--pbkdf=pbkdf2", "--use-urandom"]],
  [["--cipher", "serpent-xts-plain64", "-s", "512", "-h", "sha512", "-i", "2000"]],
  [["--sector-size=4096", "--pbkdf-memory=65536", "--label=data"]],
])("cryptsetup may be given %j", (options) => {
  expect(encrypted(options)).toEqual([]);
});

it.each([
  [["--key-file=/etc/passwd"], "--key-file=/etc/passwd", 0],
  [["--cipher=aes-xts-plain64", "--key-file", "-"], "--key-file", 1],
  [["-d", "/etc/passwd"], "-d", 0],
  [["-qd/etc/passwd"], "-qd/etc/passwd", 0],
  // The device that is formatted would be this one.
  [["--use-urandom", "/dev/sdb"], "/dev/sdb", 1],
  [["--header=/tmp/header"], "--header=/tmp/header", 0],
  [["--luks2-keyslots-size=1g"], "--luks2-keyslots-size=1g", 0],
  [["--type=plain"], "--type=plain", 0],
  [["--use-urandom=yes"], "--use-urandom=yes", 0],
])("cryptsetup must not be given %j", (options, word, index) => {
  expect(encrypted(options)[0]).toBe(
    `luks[0].options[${index}]: \`${word}\` is not for a scheme to say: key, device, type and header are Muster's; remove it, or use one of --cipher, --key-size, --hash, --iter-time, --pbkdf, --pbkdf-memory, --pbkdf-parallel, --pbkdf-force-iterations, --sector-size, --label, --subsystem, --use-random, --use-urandom`,
  );
});

it("an option that lacks its value would take the device for it", () => {
  expect(encrypted(["--cipher"])).toEqual(["luks[0].options[0]: `--cipher` has no value; add it"]);
});

it("mkfs is given options, and no device or file", () => {
  expect(made(["-m", "1", "-E", "lazy_itable_init=0"])).toEqual([]);
  expect(made(["-m", "1", "/dev/sdb"])).toEqual([
    "fss[0].mkfs_options[2]: `/dev/sdb` is a device or a file; the device is the one of the plan, so remove it",
  ]);
});
