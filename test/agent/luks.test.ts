// LUKS with the real cryptsetup on loop devices. What is inside a device needs the device mapper, which not every
// kernel has: here cryptsetup only tries the key, and another loop device plays the inside.
import { mkdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createRunner, type Runner } from "../../node-agent/runner.ts";
import { createSeedStep } from "../../node-agent/steps/seed.ts";
import { identifiersOf } from "../../node-agent/storage/identifiers.ts";
import { createLuks, luksUuid } from "../../node-agent/storage/luks.ts";
import { DiskPlanSchema, PlannedLuksSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { SeedStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { LoopMachine, plannedDisk } from "./loop.ts";

const size = 200 << 20;
/** With what a shell, a line reader and a text decoder would change. */
const content = Buffer.from("sesame $(id) 'x' \u0000 \xff\n\n", "latin1");
const name = `muster_test_${process.pid}`;
const inside = `/dev/mapper/${name}`;
const luks = create(PlannedLuksSchema, {
  name,
  device: "partition/os/0/data",
  secret: "disk-key",
  type: "luks2",
  // A cheap key derivation, as emulated machines take a minute for the usual one.
  options: ["--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000"],
});
const plan = create(DiskPlanSchema, {
  disks: [
    plannedDisk("A1", size, [
      { name: "os", firstLba: 2048n, lastLba: 206_847n, typeCode: "8300" },
      { name: "data", firstLba: 206_848n, lastLba: 309_247n, typeCode: "8309" },
    ]),
  ],
  luks: [luks],
  fss: [
    { device: "partition/os/0/os", type: "ext4", mount: "/" },
    { device: `luks/${name}`, type: "ext4", mount: "/srv" },
  ],
  rootDevice: "partition/os/0/os",
});

let machine: LoopMachine;
let disk: string;
let other: string;
let asked: string[];

beforeEach(async () => {
  asked = [];
  await mkdir("/dev/mapper", { recursive: true });
  machine = await LoopMachine.create();
  disk = await machine.addDisk("A1", size);
  other = await machine.addDisk("B2", 16 << 20);
  const table = ["--new=1:2048:206847", "--new=2:206848:309247", disk];
  await machine.run(["sgdisk", "--set-alignment=1", ...table]);
  await machine.run(["partx", "--update", disk]);
});
afterEach(async () => {
  await rm(inside, { force: true });
  await machine.dispose();
});

const context = () =>
  machine.context({
    run: withoutDeviceMapper(createRunner((line) => machine.log.push(line))),
    secrets: async (secret) => {
      asked.push(secret);
      return content;
    },
  });

function withoutDeviceMapper(real: Runner): Runner {
  return async (argv, options) => {
    const [program, verb, ...rest] = argv;
    if (program !== "cryptsetup") return real(argv, options);
    if (verb === "status") return { code: 0, stdout: `  device:  ${disk}p2\n`, stderr: "" };
    if (verb !== "open") return real(argv, options);
    const result = await real(["cryptsetup", "open", "--test-passphrase", ...rest.slice(0, -1)], options);
    await symlink(other, inside);
    return result;
  };
}

/** Whether cryptsetup opens the device with these bytes. */
async function opens(input: Uint8Array): Promise<boolean> {
  const test = ["cryptsetup", "open", "--test-passphrase", "--key-file=-", `${disk}p2`] as const;
  return (await machine.run(test, { input, okCodes: [0, 2] })).code === 0;
}

test("is formatted and opened with the stored bytes, by the standard input alone", async () => {
  const ids = identifiersOf(plan, context());
  const made = await createLuks(luks, `${disk}p2`, ids, context().secrets, context());
  expect(made).toBe(inside);
  expect(await luksUuid(`${disk}p2`, context())).toBe(ids.uuid(`luks/${name}`));
  expect(await opens(content)).toBe(true);
  expect(await opens(content.subarray(0, -1))).toBe(false);
  const { stdout } = await machine.run(["cryptsetup", "luksDump", `${disk}p2`]);
  expect(stdout).toMatch(/Version:\s+2\n/);
  const log = machine.log.join("\n");
  expect(log).toContain("$ cryptsetup luksFormat");
  expect(log).toContain("$ cryptsetup open");
  expect(log).not.toContain("sesame");
  expect(asked).toEqual(["disk-key", "disk-key"]);
});

test("a wrong secret opens nothing, and the reason does not show it", async () => {
  const ids = identifiersOf(plan, context());
  await createLuks(luks, `${disk}p2`, ids, context().secrets, context());
  await rm(inside);
  const wrong = createSeedStep(machine.options)(seedAction, {
    ...context(),
    secrets: async () => Buffer.from("other sesame"),
  });
  await expect(wrong).rejects.toThrow(/cryptsetup open .*No key available/);
  await expect(wrong).rejects.not.toThrow(/sesame/);
  expect(machine.log.join("\n")).not.toContain("sesame");
});

const seedAction = create(SeedStepSchema, {
  plan,
  systems: [{ imageDigest: "0".repeat(64) }],
  hostname: "node-1",
  mac: "52:54:00:77:00:10",
});

test("the seed step writes a key file for the data device, for root alone, if the image looks for it", async () => {
  const ids = identifiersOf(plan, context());
  await createLuks(luks, `${disk}p2`, ids, context().secrets, context());
  for (const device of [`${disk}p1`, other]) await machine.run(["mkfs.ext4", "-q", "-F", device]);
  const seeding = () => createSeedStep(machine.options)(seedAction, context());
  await expect(seeding()).rejects.toThrow(/cannot open luks .* at boot\. Add the package systemd-cryptsetup/);

  await withRoot(async (root) => {
    await mkdir(join(root, "lib/systemd"), { recursive: true });
    await writeFile(join(root, "lib/systemd/systemd-cryptsetup"), "");
  });
  expect(await seeding()).toMatch(/^11 files for node-1/);
  await withRoot(async (root) => {
    const key = join(root, `etc/cryptsetup-keys.d/${name}.key`);
    expect(await readFile(key)).toEqual(content);
    expect(await opens(await readFile(key))).toBe(true);
    const { mode, uid } = await stat(key);
    expect([mode & 0o777, uid]).toEqual([0o600, 0]);
    const uuid = ids.uuid(`luks/${name}`);
    expect(await readFile(join(root, "etc/crypttab"), "utf8")).toBe(
      `${name} UUID=${uuid} /etc/cryptsetup-keys.d/${name}.key luks,nofail\n`,
    );
  });
  expect(machine.log.join("\n")).not.toContain("sesame");
});

async function withRoot(look: (root: string) => Promise<void>): Promise<void> {
  const root = join(machine.directory, "look");
  await mkdir(root, { recursive: true });
  await machine.run(["mount", `${disk}p1`, root]);
  try {
    await look(root);
  } finally {
    await machine.run(["umount", root]);
  }
}
