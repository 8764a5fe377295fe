// What the agent's care costs: the partition step against a shell script that a person would write for the same
// disks, in turns, on loop devices. Where the kernel has no RAID, on a layout of plain partitions; the result says
// which it was.
import { create } from "@bufbuild/protobuf";
import { createPartitionStep } from "../../node-agent/steps/partition.ts";
import { PartitionStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { kernelHas } from "../agent/kernel.ts";
import { type Layout, plain, raid1Lvm } from "../agent/layouts.ts";
import { LoopMachine } from "../agent/loop.ts";

export type ApplyFigures = {
  layout: string;
  rounds: number;
  agentSeconds: number;
  shellSeconds: number;
  /** The median of the rounds' ratios. */
  apply_ratio_vs_shell: number;
};

/** Both wipe, partition, and make the same things; each asks the kernel to settle where a person would. */
const prologue = `set -euo pipefail
wipe() { wipefs -aq "$1"; blkdiscard -f -z -o 0 -l 1MiB "$1"; }
settle() { udevadm settle --timeout=20 || true; }
`;

const plainScript = `${prologue}
for d in "$1" "$2"; do
  wipe "$d"
  sgdisk -o -a1 -n1:2048:4095 -t1:ef02 -c1:bios -n2:4096:86015 -t2:ef00 -c2:esp -n3:86016:217087 -t3:8300 -c3:os \\
    -n4:217088:266239 -t4:8300 -c4:old -n5:266240:921599 -t5:8300 -c5:data -n6:921600:1183743 -t6:8300 -c6:more \\
    -n7:1183744:1249279 -t7:8200 -c7:swap "$d"
  partx -u "$d"
done
settle
wipefs -aq "$1"p? "$2"p?
mkfs.vfat -F 32 -n ESP "$1"p2
mkfs.vfat -F 32 -n ESP "$2"p2
mkfs.ext2 -q -F -m 1 "$1"p4
mkfs.ext3 -q -F "$2"p4
mkfs.xfs -q -f -L data "$1"p5
mkfs.btrfs -q -f -L more "$1"p6
mkswap "$1"p7
mkswap -L second "$2"p7
settle
sync
`;

const raid1LvmScript = `${prologue}
export DM_DISABLE_UDEV=1 MDADM_NO_UDEV=1
for d in "$1" "$2"; do
  wipe "$d"
  sgdisk -o -a1 -n1:2048:4095 -t1:ef02 -c1:bios -n2:4096:86015 -t2:ef00 -c2:esp -n3:86016:1519615 -t3:fd00 -c3:os "$d"
  partx -u "$d"
done
settle
wipefs -aq "$1"p? "$2"p?
blkdiscard -f "$1"p3
blkdiscard -f "$2"p3
mdadm --create "/dev/md/os$3" --run --level=1 --metadata=1.2 --homehost=any "--name=os$3" --raid-devices=2 \\
  --assume-clean --bitmap=internal "$1"p3 "$2"p3
settle
md=$(readlink -f "/dev/md/os$3")
wipefs -aq "$md"
pvcreate -qy "$md"
vgcreate -qy "vg$3" "$md"
lvcreate -qy -Wy -L 128M -n root "vg$3"
lvcreate -qy -Wy -L 32M -n swap "vg$3"
lvcreate -qy -Wy -L 320M -n data "vg$3"
mkfs.vfat -F 32 "$1"p2
mkfs.vfat -F 32 "$2"p2
mkswap "/dev/mapper/vg$3-swap"
mkfs.xfs -q -f "/dev/mapper/vg$3-data"
settle
sync
`;

export async function measureApply(rounds = 5): Promise<ApplyFigures> {
  const mirrored = kernelHas(...raid1Lvm.needs);
  const [layout, script] = mirrored ? [raid1Lvm, raid1LvmScript] : [plain, plainScript];
  const suffix = `b${process.pid}`;
  const agentTimes: number[] = [];
  const shellTimes: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const agent = () => onDisks(layout, (machine) => applyByAgent(machine, layout, suffix));
    const shell = () => onDisks(layout, (machine) => applyByShell(machine, script, suffix));
    // Who begins changes from round to round: the second finds the programs in memory.
    if (round % 2 === 0) {
      agentTimes.push(await agent());
      shellTimes.push(await shell());
    } else {
      shellTimes.push(await shell());
      agentTimes.push(await agent());
    }
  }
  const ratios = agentTimes.map((time, round) => time / (shellTimes[round] ?? Number.NaN));
  return {
    layout: layout.name,
    rounds,
    agentSeconds: median(agentTimes) / 1000,
    shellSeconds: median(shellTimes) / 1000,
    apply_ratio_vs_shell: Math.round(median(ratios) * 1000) / 1000,
  };
}

/** Milliseconds that the work takes on new disks. */
async function onDisks(layout: Layout, work: (machine: LoopMachine) => Promise<void>): Promise<number> {
  const machine = await LoopMachine.create();
  try {
    for (let index = 0; index < layout.disks; index++) await machine.addDisk(`D${index}`, layout.sizeBytes);
    const started = performance.now();
    await work(machine);
    return performance.now() - started;
  } finally {
    await machine.dispose();
  }
}

async function applyByAgent(machine: LoopMachine, layout: Layout, suffix: string): Promise<void> {
  const action = create(PartitionStepSchema, { plan: layout.plan(suffix) });
  await createPartitionStep(machine.options)(action, machine.context());
}

async function applyByShell(machine: LoopMachine, script: string, suffix: string): Promise<void> {
  const paths = machine.disks.map(({ path }) => path);
  await machine.run(["bash", "-c", script, "apply", ...paths, suffix]);
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [sorted[(sorted.length - 1) >> 1], sorted[middle]];
  return (low + high) / 2;
}
