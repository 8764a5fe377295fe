// An image of 8 GiB on a machine of 768 MiB: what the agent needs does not grow with the image. Long;
// MUSTER_RACK_ALL=1 (npm run test:rack:all) asks for it.
import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { applyManifests } from "./bring-up.ts";
import { run } from "./command.ts";
import { diskManifests, type ManifestText } from "./demo-manifests.ts";
import { resultOf } from "./deployment.ts";
import { lines } from "./lines.ts";
import { muster } from "./muster.ts";
import { OneMachine } from "./one-machine.ts";
import { stepLog } from "./step-log.ts";

const name = "big-data";
/** Memory that the agent of a machine with one processor may ever have had. */
const boundMib = 320;
/** What an image ten times the size of the one before it may add to that. */
const growthMib = 64;

const scheme = `kind: Scheme
name: raid1-lvm
disks:
  - { id: system, count: 1, hints: { serial: "N1A" } }
  - { id: data, count: 1, hints: { serial: "N1B" } }
parteds:
  - disks: system
    partitions:
      - { name: bios, size: 1 MiB, flags: [bios_grub] }
      - { name: root, size: remaining }
  - disks: data
    partitions:
      - { name: data, size: remaining }
fss:
  - { device: partition/root, type: ext4, mount: /, label: root }
  - { device: partition/data, type: ext4, mount: /data, label: data }
`;

describe.runIf(process.env.MUSTER_RACK_ALL)("a machine with 768 MiB", () => {
  it("gets an image of 8 GiB with the memory that it needs for a small one", async ({ signal }) => {
    const machine = { memoryMib: 768, diskSize: "9G" };
    const world = await OneMachine.up(signal, { ...machine, manifests: diskManifests(scheme) });
    onTestFinished(() => world[Symbol.asyncDispose]());
    const { operator } = world;
    const sums = await importBigImage(world);
    await applyManifests(operator, withBigImage(sums), lines);

    // Its last task has compared every file of the image.
    const ended = await world.deploy();
    expect(resultOf(ended, "image")).toMatch(/big-data: 2\.\d GiB moved, .+ grown to \d\.\d GiB on /);
    const { name: step } = ended.steps.find(({ task }) => task === "image") ?? {};
    const [small, big] = memoryOf(await stepLog(operator, step ?? ""));
    lines(`the agent had ${small} MiB at most after debian-12, and ${big} MiB after ${name}`);
    expect(big).toBeLessThan(boundMib);
    expect(big).toBeLessThan((small ?? 0) + growthMib);
  });
});

/** Of each image of the step in turn: the most that the agent has had until then, in MiB. */
function memoryOf(log: string): number[] {
  return [...log.matchAll(/^the agent has had (\d+) MiB of memory at most/gm)].map(([, mib]) => Number(mib));
}

/** 8 GiB with 2 GiB that cannot be compressed and half a GiB that can. Gives the sums of its files, for sha256sum. */
async function importBigImage({ stateDir, signal }: OneMachine): Promise<string> {
  const directory = await mkdtemp(path.join(stateDir, "big-"));
  const patient = { timeoutMs: 10 * 60_000 };
  const script = `set -eu; cd "$1"; mkdir files
    for file in a b; do head -c 1G /dev/urandom > files/$file; done
    head -c 200M files/a | od -An -tx1 -v | head -c 512M > files/text
    mke2fs -q -t ext4 -d files image 8G
    cd files; sha256sum *`;
  try {
    const sums = await run(["bash", "-c", script, "big", directory], patient);
    // The daemon runs, and takes it into its store.
    await muster(["image", "import", name, path.join(directory, "image")], { stateDir, signal, log: lines });
    return sums;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function withBigImage(sums: string): ManifestText[] {
  const role = `kind: Role
name: controller
image: debian-12
images:
  - { image: ${name}, mount: /data }
scheme: raid1-lvm
`;
  const task = `kind: Task
name: compare
roles: [controller]
shell:
  command: |
    cd /data
    sha256sum --check <<END
${sums.trimEnd().replaceAll(/^/gm, "    ")}
    END
timeout: 900s
`;
  return [
    { path: "role.yaml", content: role },
    { path: "compare.yaml", content: task },
  ];
}
