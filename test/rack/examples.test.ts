// Examples of whole clusters on four machines each: from power-on to the check task that proves that they serve, as an
// operator does it. Long; MUSTER_RACK_ALL=1 (npm run test:rack:all) asks for them.
import { randomBytes } from "node:crypto";
import path from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { buildImages, joinNodes, registerImage } from "./bring-up.ts";
import { assertSucceeded, type Ended, followDeployment, planCluster, startDeployment } from "./deployment.ts";
import type { RackOptions } from "./layout.ts";
import { lines } from "./lines.ts";
import { muster, repository } from "./muster.ts";
import { Operator } from "./operator.ts";
import { Rack } from "./rack.ts";
import { freshStateDirectory } from "./state-directory.ts";

const deployLimitMs = 90 * 60_000;
const testLimitMs = 180 * 60_000;

type Example = {
  directory: string;
  recipe: string;
  cluster: string;
  secrets: string[];
  check: string;
  /** What the check has found. */
  facts: JsonObject;
  verify: string;
  /** Tasks that have to say at the second deployment that they have changed nothing. */
  unchanged: string[];
};

const examples: Example[] = [
  {
    directory: "compute-cluster",
    recipe: "image/compute.yaml",
    cluster: "compute",
    secrets: ["compute-database", "compute-replication"],
    check: "compute-check",
    // It takes away what it has written.
    facts: { rows: "0" },
    verify: "compute-verify",
    unchanged: ["endpoint-config"],
  },
  {
    directory: "object-storage",
    recipe: "image/objects.yaml",
    cluster: "objects",
    secrets: ["object-hash", "object-account"],
    check: "object-check",
    facts: { replicas: "2" },
    verify: "object-verify",
    unchanged: ["rings-fetch"],
  },
];

describe.runIf(process.env.MUSTER_RACK_ALL)("examples", () => {
  it.for(examples)(
    "deploys $directory, which serves, and again, which changes nothing",
    { timeout: testLimitMs },
    async (example, { signal }) => {
      const world = await up(example, signal);
      const first = await world.deploy();
      expect(stepsOf(first, example.check)).toMatchObject([{ facts: example.facts }]);

      const second = await world.deploy();
      expect(stepsOf(second, "bootstrap").every(({ attempt }) => attempt === 0)).toBe(true);
      for (const task of example.unchanged) {
        const outcomes = new Set(stepsOf(second, task).map(({ outcome }) => outcome));
        expect([task, outcomes]).toEqual([task, new Set([TaskOutcome.OK])]);
      }
      expect(stepsOf(second, example.check)).toMatchObject([{ facts: example.facts }]);

      // Its exit code says whether the check has succeeded.
      await world.say(["deploy", example.cluster, "--graph", example.verify, "--yes"]);
    },
  );
});

/** The example on a fresh rack: image, secrets and manifests are there, and its machines have joined. */
async function up({ directory, recipe, cluster, secrets }: Example, signal: AbortSignal) {
  const stateDir = freshStateDirectory();
  const from = path.join(repository, "examples", directory);
  const options: RackOptions = {
    stateDir,
    nodes: 4,
    uefi: 1,
    memoryMib: 1024,
    diskSize: "6G",
    keepDisks: false,
  };
  const image = await buildImages({ stateDir, signal, log: lines }, path.join(from, recipe));
  const rack = await Rack.up(options, lines, signal);
  onTestFinished(() => rack.down());
  const operator = new Operator(stateDir);
  onTestFinished(() => operator[Symbol.dispose]());

  const say = (args: string[]) => muster(args, { stateDir, signal, log: lines });
  await registerImage(operator, image, lines);
  for (const name of secrets) {
    await operator.secrets.setSecret({ name, content: Buffer.from(randomBytes(16).toString("hex")) });
  }
  await say(["apply", "-f", from]);
  await joinNodes(operator, options, { log: lines, signal });
  const deploy = async (): Promise<Ended> => {
    const name = await startDeployment(operator, await planCluster(operator, cluster));
    const ended = await followDeployment(operator, name, { log: lines, signal, limitMs: deployLimitMs });
    assertSucceeded(ended);
    return ended;
  };
  return { say, deploy };
}

function stepsOf({ steps }: Ended, task: string): Ended["steps"] {
  return steps.filter((step) => step.task === task);
}
