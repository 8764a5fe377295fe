// How thoroughly a release erases, what it leaves, and the proof of it afterwards.
import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import {
  AttemptSchema,
  Deployment_State,
  type PlanClusterRequest,
  PlanSchema,
  Purpose,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { EraseMode, DiskErasure_Proof as Proof } from "../../proto/gen/muster/v1/erase_pb.ts";
import { planLines } from "../plan-text.ts";
import { deployment, secondsAgo, step } from "../testing/fixtures.ts";
import { done, muster, start } from "../testing/muster.ts";
import { plan, planHash } from "../testing/plan.ts";

const gib = 1n << 30n;

const releasing = create(PlanSchema, {
  cluster: "demo",
  hash: planHash,
  purpose: Purpose.RELEASE,
  nodes: [
    {
      node: "n1",
      disks: { disks: plan.nodes[0]?.disks?.disks.slice(0, 1) ?? [] },
      erase: EraseMode.FULL,
      left: [
        {
          name: "vdb",
          serial: "n1-B",
          model: "QEMU DISK",
          sizeBytes: 20n * gib,
          reason: "skipped, as you asked",
        },
        { wwn: "0x5000", sizeBytes: gib, reason: "not in the machine any more" },
      ],
    },
  ],
  steps: [{ id: "n1/wipe", node: "n1", task: "wipe" }],
});

const erasures = [
  {
    ...{ name: "vda", serial: "n1-A", sizeBytes: 20n * gib, erasedBytes: 20n * gib, mode: EraseMode.FULL },
    ...{ method: "discard", duration: { seconds: 72n }, proof: Proof.ZEROS },
    ...{ readBytes: 128n << 20n, readPlaces: 128 },
  },
  {
    ...{ name: "nvme0n1", wwn: "eui.01", sizeBytes: gib, erasedBytes: gib, mode: EraseMode.FULL },
    ...{ method: "NVMe format (crypto erase)", duration: { nanos: 300_000_000 }, proof: Proof.CHANGED },
    ...{ readBytes: gib, readPlaces: 1024 },
  },
  {
    ...{ name: "vdc", serial: "n1-C", sizeBytes: gib, mode: EraseMode.METADATA },
    ...{ fault: "vdc still shows gpt\u001b[2J" },
  },
];

it("asks for the mode and the disks to skip, and says what it leaves", async () => {
  const asked: PlanClusterRequest[] = [];
  const planCluster = async (request: PlanClusterRequest) => {
    asked.push(request);
    return { plan: releasing };
  };
  const fake = await start({ deployments: { planCluster } });
  const words = "release demo n1 --erase full --skip n1-B --skip 0x5000";
  const { code, out } = await done(muster(fake.stateDir, `${words} --yes --no-wait`));
  const wanted = { nodes: ["n1"], erase: EraseMode.FULL, skip: ["n1-B", "0x5000"] };
  expect([code, asked]).toMatchObject([0, [wanted]]);
  expect(fake.calls).toMatchObject([{ request: { ...wanted, purpose: Purpose.RELEASE, planHash } }]);
  expect(out).toContain(
    [
      "Erase full: every sector",
      "These disks are left as they are:",
      "  n1: disk serial n1-B QEMU DISK, 20 GiB, now vdb: skipped, as you asked",
      "  n1: disk wwn 0x5000, 1 GiB: not in the machine any more",
      "These disks are wiped:",
    ].join("\n"),
  );
  const changed = await done(muster(fake.stateDir, `${words} --yes --plan-hash 12`));
  expect(changed.err).toContain(`see what changed: muster ${words}`);
  expect((await done(muster(fake.stateDir, "release demo --erase gently"))).code).toBe(2);
});

it("leaves the mode to the cluster if none is given", async () => {
  const fake = await start({ deployments: { planCluster: async () => ({ plan: releasing }) } });
  await done(muster(fake.stateDir, "release demo n1 --yes --no-wait"));
  expect(fake.calls).toMatchObject([{ request: { erase: EraseMode.UNSPECIFIED, skip: [] } }]);
});

it("shows both in the plan", () => {
  const lines = planLines(releasing).map(({ text }) => text);
  expect(lines).toContain("  erase full: every sector");
  expect(lines.slice(lines.indexOf("  left as they are"))).toContain(
    "    disk serial n1-B QEMU DISK, 20 GiB, now vdb: skipped, as you asked",
  );
});

const proof = [
  /^\S+ +vda +n1-A +full +discard +20 GiB of 20 GiB +1m12s +no signatures; 128 MiB in 128 places read back as zeros$/,
  /^\S+ +nvme0n1 +eui\.01 +full +NVMe format \(crypto erase\) +1 GiB of 1 GiB +0\.3s +no signatures; all of it read back changed$/,
  /^\S+ +vdc +n1-C +metadata +0 B of 1 GiB +not erased: vdc still shows gpt\S*$/,
];

function expectProof(out: string, by: string): void {
  const lines = out.split("\n");
  const header = lines.findIndex((line) => line.startsWith("ERASED BY"));
  const rows = lines.slice(header + 1);
  expect(rows).toEqual(proof.map((row) => expect.stringMatching(row)));
  expect(rows.every((row) => row.startsWith(by))).toBe(true);
  expect(out).not.toContain("\u001b");
}

it("shows the proof in the history", async () => {
  const attempt = create(AttemptSchema, {
    ...{ name: "demo-2/n1/wipe/1", step: "demo-2/n1/wipe", number: 1, state: Step_State.FAILED, erasures },
  });
  const plain = create(AttemptSchema, { name: "demo-2/n1/bootstrap/1", step: "demo-2/n1/bootstrap" });
  const fake = await start({ deployments: { listAttempts: async () => ({ attempts: [attempt, plain] }) } });
  expectProof((await done(muster(fake.stateDir, "history"))).out, "demo-2/n1/wipe/1 ");
  const json = JSON.parse((await done(muster(fake.stateDir, "history -o json"))).out);
  expect(json.items[0].erasures[0]).toMatchObject({
    serial: "n1-A",
    method: "discard",
    proof: "PROOF_ZEROS",
  });
});

it("shows the proof in the description of the deployment", async () => {
  const wiped = step("n1/wipe", Step_State.SUCCEEDED, { endTime: secondsAgo(1) });
  const ended = { ...deployment, plan: releasing, state: Deployment_State.SUCCEEDED };
  const withProof = { ...wiped, erasures: create(AttemptSchema, { erasures }).erasures };
  const getDeployment = async () => ({ deployment: ended, steps: [withProof] });
  const fake = await start({ deployments: { getDeployment } });
  expectProof((await done(muster(fake.stateDir, "describe deployment demo-1"))).out, "n1/wipe ");
});
