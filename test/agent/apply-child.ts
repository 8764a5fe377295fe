// Runs the partition step in a process of its own and kills it, as if by kill -9, after so many commands:
// node apply-child.ts '{"layout":"plain","suffix":"x","disks":[...],"mountPoint":"/x","killAfter":3}'
import { create } from "@bufbuild/protobuf";
import { createRunner, type Runner } from "../../node-agent/runner.ts";
import { createPartitionStep } from "../../node-agent/steps/partition.ts";
import type { MachineDisk } from "../../node-agent/storage/disks.ts";
import { PartitionStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { layouts } from "./layouts.ts";
import { loopContext } from "./loop.ts";

export type ChildOrder = {
  layout: string;
  suffix: string;
  disks: (Omit<MachineDisk, "sizeBytes"> & { sizeBytes: string })[];
  mountPoint: string;
  killAfter: number;
};

const order = JSON.parse(process.argv[2] ?? "") as ChildOrder;
const layout = layouts.find(({ name }) => name === order.layout);
if (!layout) throw new Error(`there is no layout ${order.layout}`);
const disks = order.disks.map((disk) => ({ ...disk, sizeBytes: BigInt(disk.sizeBytes) }));
const real = createRunner(() => {});
let commands = 0;
const run: Runner = async (argv, options) => {
  const result = await real(argv, options);
  if (++commands === order.killAfter) process.kill(process.pid, "SIGKILL");
  return result;
};
const step = createPartitionStep({
  findDisks: async () => disks,
  mountPoint: order.mountPoint,
});
await step(
  create(PartitionStepSchema, { plan: layout.plan(order.suffix) }),
  loopContext(run, () => {}),
);
