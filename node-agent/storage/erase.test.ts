// What disks say of how they can erase themselves, and what counts as proof that they did.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EraseMode, DiskErasure_Proof as Proof } from "../../proto/gen/muster/v1/erase_pb.ts";
import type { Runner } from "../runner.ts";
import { CommandError } from "../runner.ts";
import { ataErase, parseSecurity } from "./erase-ata.ts";
import { eraseFreed, proofOf } from "./erase-disk.ts";
import { formatSetting, nvmeErase, sanitizeAction, sanitizeState } from "./erase-nvme.ts";
import { readSamples } from "./samples.ts";

const disk = { path: "/dev/sda", sizeBytes: 1n, serial: "S", wwn: "", model: "", sectorBytes: 512 };

const security = (frozen: string, enhanced: string) => `
ATA device, with non-removable media
Security:
\tMaster password revision code = 65534
\t\tsupported
\tnot\tenabled
\tnot\tlocked
\t${frozen}\tfrozen
\tnot\texpired: security count
\t${enhanced}\tsupported: enhanced erase
\t2min for SECURITY ERASE UNIT. 8min for ENHANCED SECURITY ERASE UNIT.
Logical Unit WWN Device Identifier: 5000c500a0b1c2d3
`;

/** Answers each command whose words contain the key; records all. */
function fakeRun(answers: Record<string, string>): { run: Runner; commands: string[] } {
  const commands: string[] = [];
  const run: Runner = async (argv) => {
    const command = argv.join(" ");
    commands.push(command);
    const key = Object.keys(answers).find((words) => command.includes(words));
    return { code: 0, stdout: key ? (answers[key] ?? "") : "", stderr: "" };
  };
  return { run, commands };
}

function context(run: Runner, log: string[] = []) {
  return { run, log: (line: string) => log.push(line), signal: new AbortController().signal };
}

test("the security section of hdparm", () => {
  expect(parseSecurity(security("not", ""))).toEqual({
    ...{ supported: true, enhanced: true, frozen: false, enabled: false, minutes: 8 },
  });
  expect(parseSecurity(security("", "not"))).toMatchObject({ frozen: true, enhanced: false });
  expect(parseSecurity("SG_IO: bad/missing sense data")).toMatchObject({ supported: false });
});

test("an ATA disk erases itself, unless it says that it cannot", async () => {
  const able = fakeRun({ "hdparm -I": security("not", "not") });
  expect(await ataErase(disk, context(able.run))).toEqual({ name: "ATA secure erase", leaves: "zeros" });
  expect(able.commands.slice(1)).toEqual([
    "hdparm --user-master u --security-set-pass muster /dev/sda",
    "hdparm --user-master u --security-erase muster /dev/sda",
  ]);
  const log: string[] = [];
  const frozen = fakeRun({ "hdparm -I": security("", "") });
  expect(await ataErase(disk, context(frozen.run, log))).toBeUndefined();
  expect(frozen.commands).toHaveLength(1);
  expect(log.join()).toContain("is frozen by the firmware");
  const none = fakeRun({});
  expect(await ataErase({ ...disk, path: "/dev/vda" }, context(none.run))).toBeUndefined();
  expect(none.commands).toEqual([]);
});

test("what an NVMe controller can", () => {
  expect(sanitizeAction({ sanicap: 3 })?.code).toBe(4);
  expect(sanitizeAction({ sanicap: 2 })?.code).toBe(2);
  expect(sanitizeAction({ sanicap: 4 })).toBeUndefined();
  expect(formatSetting({ oacs: 2, fna: 4 })?.ses).toBe(2);
  expect(formatSetting({ oacs: 2 })?.ses).toBe(1);
  expect(formatSetting({ oacs: 1 })).toBeUndefined();
  expect(sanitizeState('{"nvme0":{"sprog":65535,"sstat":257}}')).toBe("done");
  expect(sanitizeState('{"nvme0":{"sstat":2}}')).toBe("running");
  expect(sanitizeState('{"nvme0":{"sstat":3}}')).toBe("failed");
});

test("an NVMe disk is sanitized, and never with other namespaces beside it", async () => {
  const nvme = { ...disk, path: "/dev/nvme0n1" };
  const answers = {
    "id-ctrl": '{"sanicap":2}',
    "list-ns": "[   0]:0x1\n",
    "sanitize-log": '{"nvme0":{"sstat":1}}',
  };
  const able = fakeRun(answers);
  expect((await nvmeErase(nvme, context(able.run)))?.name).toBe("NVMe sanitize (block erase)");
  expect(able.commands).toContain("nvme sanitize /dev/nvme0 --sanact=2");
  const shared = fakeRun({ ...answers, "list-ns": "[   0]:0x1\n[   1]:0x2\n" });
  expect(await nvmeErase(nvme, context(shared.run))).toBeUndefined();
  expect(shared.commands.join()).not.toContain("nvme sanitize ");
});

test("what a disk refuses is done in another way, unless the step was stopped", async () => {
  const gone = { ...disk, path: "/dev/nvme77n1" };
  const fake = fakeRun({ "id-ctrl": '{"oacs":2}', "list-ns": "[   0]:0x1\n" });
  const refusing: Runner = async (argv, options) => {
    const answer = await fake.run(argv, options);
    if (argv[1] === "format") throw new CommandError("`nvme format` failed: Access Denied", 1);
    return answer;
  };
  const log: string[] = [];
  const erasure = await eraseFreed({ disk: gone, before: [] }, EraseMode.FULL, context(refusing, log));
  expect(log.join()).toContain("Access Denied; going on with another way");
  expect(fake.commands).toContain("blkdiscard --force /dev/nvme77n1");
  // There is no such disk to be read back, and so no proof.
  expect(erasure).toMatchObject({ name: "nvme77n1", proof: 0, fault: expect.stringContaining("ENOENT") });

  fake.commands.splice(0);
  const stopped = { ...context(refusing), signal: AbortSignal.abort() };
  const { fault } = await eraseFreed({ disk: gone, before: [] }, EraseMode.FULL, stopped);
  expect([fault, fake.commands.some((command) => command.startsWith("blkdiscard"))]).toEqual([
    "`nvme format` failed: Access Denied",
    false,
  ]);
});

test("a disk that erased itself must read otherwise than before where it held something", async () => {
  const directory = mkdtempSync(join(tmpdir(), "erase-"));
  const path = join(directory, "disk");
  const mib = 1 << 20;
  writeFileSync(path, Buffer.concat([Buffer.alloc(mib, 7), Buffer.alloc(mib)]));
  const held = { ...disk, path, sizeBytes: BigInt(2 * mib) };
  const before = await readSamples(path, held.sizeBytes);
  const proof = () => proofOf(held, { name: "sanitize", leaves: "noise" }, before);
  try {
    await expect(proof()).rejects.toThrow(`${path} still has its content at byte 0 after sanitize`);
    // The second half was zero before: it proves nothing, whatever it is now.
    writeFileSync(path, Buffer.concat([Buffer.alloc(mib, 9), Buffer.alloc(mib)]));
    expect(await proof()).toEqual({ proof: Proof.CHANGED, readBytes: BigInt(mib), readPlaces: 1 });
    const zeros = proofOf(held, { name: "discard", leaves: "zeros" }, before);
    await expect(zeros).rejects.toThrow("still has its content at byte 0 after discard");
    writeFileSync(path, Buffer.alloc(mib));
    await expect(proof()).rejects.toThrow(`${path} ends at byte ${mib}: has it been taken away?`);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
