// A small cluster in the middle of a deployment, as messages: what the tests of this folder show and print.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Cluster,
  ClusterSchema,
  type Document,
  DocumentSchema,
} from "../../proto/gen/muster/v1/cluster_pb.ts";
import { ExamineResponse_Level } from "../../proto/gen/muster/v1/daemon_pb.ts";
import {
  type Attempt,
  AttemptSchema,
  type Deployment,
  Deployment_State,
  DeploymentSchema,
  type Progress,
  ProgressSchema,
  type Step,
  Step_State,
  StepSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { type Image, ImageKind, ImageSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { Firmware_Mode } from "../../proto/gen/muster/v1/inventory_pb.ts";
import {
  Environment,
  type Node,
  Node_State,
  NodeSchema,
  PowerState,
} from "../../proto/gen/muster/v1/node_pb.ts";
import { type Secret, SecretSchema } from "../../proto/gen/muster/v1/secret_pb.ts";
import { type Event, Event_Severity, EventSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { imageDigest, nodeNames, plan } from "./plan.ts";

// Screens show local time; the expected ones were written in this zone.
process.env.TZ = "UTC";

const mib = 1n << 20n;
const gib = 1n << 30n;

/** The tests' time: noon UTC. */
export const now = Date.UTC(2026, 10, 21, 12, 0, 0);
export const secondsAgo = (seconds: number) => timestampFromMs(now - seconds * 1000);

function disk(node: string, letter: string, contents: boolean) {
  return {
    name: `vd${letter}`,
    model: "QEMU DISK",
    serial: `${node}-${letter.toUpperCase()}`,
    tran: "virtio",
    sizeBytes: 20n * gib,
    contents: contents
      ? [
          {
            name: `vd${letter}1`,
            type: "part",
            sizeBytes: 19n * gib,
            fsType: "ext4",
            label: "old",
            parent: `vd${letter}`,
          },
        ]
      : [],
  };
}

export function node(name: string, init: Partial<Omit<Node, "$typeName" | "$unknown">> = {}): Node {
  return create(NodeSchema, {
    name,
    state: Node_State.PROVISIONING,
    cluster: "demo",
    role: name === "n1" ? "controller" : "compute",
    hostname: name,
    online: true,
    environment: Environment.BOOTSTRAP,
    agentVersion: "0.1.0",
    address: `10.77.0.1${name.slice(1)}`,
    power: PowerState.ON,
    lastSeenTime: secondsAgo(1),
    fingerprint: {
      systemUuid: `00000000-0000-4000-8000-00000000000${name.slice(1)}`,
      macs: [`52:54:00:00:00:0${name.slice(1)}`],
    },
    inventory: {
      system: { manufacturer: "QEMU", product: "Standard PC", serial: `S-${name}` },
      cpu: { model: "QEMU Virtual CPU", sockets: 1, cores: 2, threads: 2, architecture: "x86_64" },
      memoryBytes: 2n * gib,
      firmware: { mode: Firmware_Mode.BIOS, vendor: "SeaBIOS", version: "1.16" },
      disks: [disk(name, "a", name === "n1"), disk(name, "b", false)],
      nics: [
        {
          name: "eth0",
          mac: `52:54:00:00:00:0${name.slice(1)}`,
          driver: "virtio_net",
          link: true,
          addresses: [`10.77.0.1${name.slice(1)}`],
        },
      ],
    },
    ...init,
  });
}

export const deployment: Deployment = create(DeploymentSchema, {
  name: "demo-1",
  cluster: "demo",
  state: Deployment_State.RUNNING,
  reason: "waits for 2 running steps",
  plan,
  startTime: secondsAgo(125),
  revision: 40n,
});

const notBegun = new Set<Step_State>([
  Step_State.PENDING,
  Step_State.READY,
  Step_State.BLOCKED,
  Step_State.SKIPPED,
]);

export function step(
  id: string,
  state: Step_State,
  init: Omit<Exclude<MessageInitShape<typeof StepSchema>, Step>, "$typeName" | "$unknown"> = {},
): Step {
  const [nodeName = "", task = ""] = id.split("/");
  return create(StepSchema, {
    name: `demo-1/${id}`,
    deployment: "demo-1",
    node: nodeName,
    task,
    state,
    attempt: notBegun.has(state) ? 0 : 1,
    ...init,
  });
}

const done = (id: string, from: number, to: number, result = "") =>
  step(id, Step_State.SUCCEEDED, { startTime: secondsAgo(from), endTime: secondsAgo(to), result });

/** n1 and n2 write their image, n3 has failed to, and what comes after is blocked. */
export function steps(): Step[] {
  const early = nodeNames.flatMap((name) => [
    done(`${name}/bootstrap`, 124, 80, "ramdisk up"),
    done(`${name}/partition`, 80, 76.8, "md os [UU], 3 volumes"),
  ]);
  const failed = step("n3/image", Step_State.FAILED, {
    startTime: secondsAgo(76),
    endTime: secondsAgo(20),
    reason: "chunk 412 is damaged: expected sha256 4f1c9a, found 9be0d2; repair the image in the store",
    progress: { step: "demo-1/n3/image", currentBytes: 412n * mib, totalBytes: 712n * mib },
  });
  const known = new Map(
    [
      ...early,
      step("n1/image", Step_State.RUNNING, { startTime: secondsAgo(76) }),
      step("n2/image", Step_State.RUNNING, { startTime: secondsAgo(76), attempt: 2 }),
      failed,
    ].map((value) => [value.name, value]),
  );
  const rest = (id: string) => step(id, id.startsWith("n3/") ? Step_State.BLOCKED : Step_State.PENDING);
  return plan.steps.map(({ id }) => known.get(`demo-1/${id}`) ?? rest(id));
}

export function progress(stepId: string, currentMib: bigint): Progress {
  return create(ProgressSchema, {
    step: `demo-1/${stepId}`,
    currentBytes: currentMib * mib,
    totalBytes: 712n * mib,
    movedBytes: currentMib * mib,
    bytesPerSecond: 18n * mib,
    eta: { seconds: (712n - currentMib) / 18n },
    activity: "writing",
  });
}

export const cluster: Cluster = create(ClusterSchema, {
  name: "demo",
  deployment: "demo-1",
  spec: {
    name: "demo",
    domain: "lab",
    nodes: nodeNames.map((name) => ({
      node: name,
      role: name === "n1" ? "controller" : "compute",
      hostname: name,
    })),
    settings: { region: "north" },
  },
});

export const image: Image = create(ImageSchema, {
  name: "debian-12",
  digest: imageDigest,
  buildTime: secondsAgo(3600),
  sizeBytes: 2n * gib,
  contentBytes: 712n * mib,
  storedBytes: 301n * mib,
  chunkCount: 712,
  filesystem: "ext4",
  firmware: ["bios", "uefi"],
  kernelVersion: "6.1.0-56-amd64",
  kind: ImageKind.FILESYSTEM,
  version: "12.7",
  formerDigests: ["f0".repeat(32)],
  etag: "3",
});

export const secret: Secret = create(SecretSchema, {
  name: "disk-key",
  sizeBytes: 12,
  typable: true,
  createTime: secondsAgo(7200),
  updateTime: secondsAgo(3600),
  etag: "7",
});

export const nodes: Node[] = [
  node("n1"),
  node("n2"),
  node("n3", { state: Node_State.ERROR, reason: "step image failed" }),
  node("n4", {
    state: Node_State.AWAITING_APPROVAL,
    cluster: "",
    role: "",
    hostname: "",
    approvalCode: "K7-QX2",
    online: false,
  }),
];

export const events: Event[] = [
  create(EventSchema, {
    time: secondsAgo(125),
    severity: Event_Severity.INFO,
    subject: "deployment/demo-1",
    reason: "DEPLOYMENT_STARTED",
    message: "3 nodes, plan a1b2c3d4",
    revision: 30n,
  }),
  create(EventSchema, {
    time: secondsAgo(60),
    severity: Event_Severity.WARNING,
    subject: "node/n4",
    reason: "NODE_AWAITS_APPROVAL",
    message: "asks to join with code K7-QX2",
    revision: 35n,
  }),
  create(EventSchema, {
    time: secondsAgo(20),
    severity: Event_Severity.ERROR,
    subject: "step/demo-1/n3/image",
    reason: "STEP_FAILED",
    message: "chunk 412 is damaged",
    revision: 39n,
  }),
];

export const documents: Document[] = [
  create(DocumentSchema, {
    name: "role/compute",
    etag: "7",
    manifest: { kind: { case: "role", value: { name: "compute", image: "debian-12" } } },
  }),
  create(DocumentSchema, { name: "task/worker", etag: "8" }),
];

const attempt = (node: string, number: number, state: Step_State, from: number, to: number, reason = "") =>
  create(AttemptSchema, {
    name: `demo-1/${node}/image/${number}`,
    step: `demo-1/${node}/image`,
    deployment: "demo-1",
    node,
    task: "image",
    number,
    state,
    startTime: secondsAgo(from),
    endTime: secondsAgo(to),
    exitCode: state === Step_State.FAILED ? 1 : 0,
    reason,
    result: state === Step_State.SUCCEEDED ? "712 MiB" : "",
    planHash: "a1b2c3d4".repeat(8),
  });

/** The newest first. */
export const attempts: Attempt[] = [
  attempt("n3", 2, Step_State.FAILED, 40, 20, "chunk 412 is damaged"),
  attempt("n3", 1, Step_State.FAILED, 76, 45, "the connection broke"),
  attempt("n2", 1, Step_State.SUCCEEDED, 90, 77),
];

export const explanation = {
  subject: "step/demo-1/n3/image",
  state: "failed",
  why: "attempt 2 of 2 failed: chunk 412 is damaged",
  remedy: "repair the image, then: muster retry demo-1",
  waitsFor: [],
};

export const findings = [
  { check: "ports", level: ExamineResponse_Level.OK, message: "8080, 8081 and 8082 answer", remedy: "" },
  {
    check: "disk-space",
    level: ExamineResponse_Level.WARNING,
    message: "/var/lib/muster has 1 GiB left",
    remedy: "delete images that no role names",
  },
];
