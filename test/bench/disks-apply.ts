// What the agent's care costs: the partition step against a shell script that a person would write for the same
// disks, in turns. Runs inside the bench's machine (disks-machine.ts), on its two disks.
import { create } from "@bufbuild/protobuf";
import { createRunner } from "../../node-agent/runner.ts";
import type { StepContext } from "../../node-agent/step.ts";
import { partition } from "../../node-agent/steps/partition.ts";
import { lsblkDisks } from "../../node-agent/storage/disks.ts";
import { wipeDisk } from "../../node-agent/storage/release.ts";
import { settle } from "../../node-agent/storage/wait.ts";
import { PartitionStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { raid1Lvm } from "../agent/layouts.ts";
import { loopContext } from "../agent/loop.ts";
import { median } from "./timed.ts";

export type ApplyFigures = {
  layout: string;
  rounds: number;
  agentSeconds: number;
  shellSeconds: number;
  /** The median of the rounds' ratios. */
  ratio: number;
};

/** The same things as the plan's, by the same programs; it asks udev to settle where a person would. */
const script = `set -euo pipefail
export DM_DISABLE_UDEV=1 MDADM_NO_UDEV=1
settle() { udevadm settle --timeout=20 || true; }
for d in "$1" "$2"; do
  wipefs -aq "$d"
  blkdiscard -f -z -o 0 -l 1MiB "$d"
  sgdisk -o -a1 -n1:2048:4095 -t1:ef02 -c1:bios -n2:4096:86015 -t2:ef00 -c2:esp -n3:86016:1519615 -t3:fd00 -c3:os "$d"
  partx -u "$d"
done
settle
wipefs -aq "$1"? "$2"?
blkdiscard -f "$1"3
blkdiscard -f "$2"3
mdadm --create "/dev/md/os$3" --run --level=1 --metadata=1.2 --homehost=any "--name=os$3" --raid-devices=2 \\
  --assume-clean --bitmap=internal "$1"3 "$2"3
settle
md=$(readlink -f "/dev/md/os$3")
wipefs -aq "$md"
pvcreate -qy "$md"
vgcreate -qy "vg$3" "$md"
lvcreate -qy -Wy -L 128M -n root "vg$3"
lvcreate -qy -Wy -L 32M -n swap "vg$3"
lvcreate -qy -Wy -L 320M -n data "vg$3"
mkfs.vfat -F 32 "$1"2
mkfs.vfat -F 32 "$2"2
mkswap "/dev/mapper/vg$3-swap"
mkfs.xfs -q -f "/dev/mapper/vg$3-data"
settle
sync
`;

/** `tell` hears of every round. */
export async function measureApply(rounds: number, tell: (line: string) => void): Promise<ApplyFigures> {
  const context = loopContext(
    createRunner(() => {}),
    () => {},
  );
  const paths = await pathsOf(context);
  const agent: number[] = [];
  const shell: number[] = [];
  // Volume groups of a name that was there before would find what is left of it below /dev.
  const byAgent = async (round: number) =>
    agent.push(await onEmpty(paths, context, applyByAgent, `a${round}`));
  const byShell = async (round: number) =>
    shell.push(await onEmpty(paths, context, applyByShell, `s${round}`));
  // The programs of both come from a compressed file system, which keeps what was read once.
  for (let round = 0; round <= rounds; round++) {
    const [first, second] = round % 2 === 0 ? [byAgent, byShell] : [byShell, byAgent];
    await first(round);
    await second(round);
    const [a = 0, s = 0] = [agent.at(-1), shell.at(-1)];
    tell(
      `round ${round}: agent ${a.toFixed(2)} s, shell ${s.toFixed(2)} s${round === 0 ? ", not counted" : ""}`,
    );
  }
  const [agentTimes, shellTimes] = [agent.slice(1), shell.slice(1)];
  return {
    layout: raid1Lvm.name,
    rounds,
    agentSeconds: median(agentTimes),
    shellSeconds: median(shellTimes),
    ratio: median(agentTimes.map((time, index) => time / (shellTimes[index] ?? Number.NaN))),
  };
}

type Work = (paths: string[], suffix: string, context: StepContext) => Promise<unknown>;

/** Seconds that the work takes on disks that hold nothing. */
async function onEmpty(paths: string[], context: StepContext, work: Work, suffix: string): Promise<number> {
  for (const path of paths) {
    await wipeDisk(path, context);
    await context.run(["blkdiscard", "--force", path]);
  }
  await settle(context);
  await context.run(["sync"]);
  const started = performance.now();
  await work(paths, suffix, context);
  return (performance.now() - started) / 1000;
}

const applyByAgent: Work = (_, suffix, context) =>
  partition(create(PartitionStepSchema, { plan: raid1Lvm.plan(suffix) }), context);

const applyByShell: Work = (paths, suffix, { run }) => run(["bash", "-c", script, "apply", ...paths, suffix]);

/** Of the layout's disks, in its order. */
async function pathsOf({ run, signal }: StepContext): Promise<string[]> {
  const disks = await lsblkDisks(run, signal);
  return Array.from({ length: raid1Lvm.disks }, (_, index) => {
    const disk = disks.find(({ serial }) => serial === `D${index}`);
    if (!disk) throw new Error(`this machine has no disk of serial D${index}; it is not the bench's`);
    return disk.path;
  });
}
