// What the simulated cluster is to become: the nodes, their provisioning, and config tasks that wait for each
// other across nodes.
import { create } from "@bufbuild/protobuf";
import { provisioningTasks } from "../../daemon/domain/tasks.ts";
import {
  type Plan,
  type PlannedStep,
  PlannedStepSchema,
  PlanSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { StepAction } from "../../proto/gen/muster/v1/step_pb.ts";
import { StepActionSchema } from "../../proto/gen/muster/v1/step_pb.ts";

export const imageDigest = "d".repeat(64);
export const rootDevice = "/dev/mapper/vg0-root";

const timeoutSeconds: Record<string, bigint> = {
  bootstrap: 900n,
  partition: 900n,
  image: 7200n,
  seed: 600n,
  bootloader: 900n,
  reboot: 1200n,
};

/** The first node is prepared, the others join it, and then the first one is told that all are there. */
export function planOf(nodes: string[], retries: number): Plan {
  const first = nodes[0] ?? "";
  const others = nodes.slice(1);
  const steps = nodes.flatMap((node) =>
    provisioningTasks.map((task, index) => {
      const before = provisioningTasks[index - 1];
      return planned(node, task, before ? [`${node}/${before}`] : [], 0);
    }),
  );
  for (const node of nodes) {
    steps.push(planned(node, "prepare", [`${node}/reboot`], retries));
    steps.push(planned(node, "watch", [`${node}/reboot`], retries));
  }
  for (const node of others) {
    steps.push(planned(node, "join", [`${node}/reboot`, `${node}/prepare`, `${first}/prepare`], retries));
  }
  const joined = others.map((node) => `${node}/join`);
  steps.push(planned(first, "finish", [`${first}/reboot`, `${first}/prepare`, ...joined], retries));
  const parts = nodes.map((node) => ({ node, hostname: node }));
  return create(PlanSchema, { cluster: "demo", hash: "h", nodes: parts, steps });
}

function planned(node: string, task: string, requires: string[], retries: number): PlannedStep {
  const seconds = timeoutSeconds[task] ?? 600n;
  return create(PlannedStepSchema, {
    id: `${node}/${task}`,
    node,
    task,
    requires,
    retries,
    timeout: { seconds },
    action: actionOf(node, task),
  });
}

function actionOf(hostname: string, task: string): StepAction {
  switch (task) {
    case "bootstrap":
    case "partition":
    case "bootloader":
      return create(StepActionSchema, { kind: { case: task, value: {} } });
    case "image":
      return create(StepActionSchema, { kind: { case: task, value: { imageDigest } } });
    case "seed":
      return create(StepActionSchema, { kind: { case: task, value: { imageDigest, hostname } } });
    case "reboot":
      return create(StepActionSchema, { kind: { case: task, value: { hostname, rootDevice, imageDigest } } });
    default:
      return create(StepActionSchema, { kind: { case: "shell", value: { command: task } } });
  }
}
