// The examples as they lie there: the daemon takes the whole directory, and its plan has the order of the scenario.
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { image, node } from "../../daemon/domain/plan-fixture.ts";
import { put } from "../../daemon/domain/state.ts";
import { decodeRecipe } from "../../imagebuild/recipe.ts";
import { type Plan, type PlannedStep, TaskRecordSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { done, muster } from "../../tui/testing/muster.ts";
import { startTestDaemon } from "./daemon.ts";

type Example = {
  directory: string;
  cluster: string;
  image: string;
  secrets: string[];
  /** Steps in the order of the scenario, by `<`. The last one is the check. */
  order: string[];
  /** The graph that has only the last step. */
  verify: string;
  /** Those that not all nodes of their role may do at once. */
  oneByOne: string[];
};

const examples: Example[] = [
  {
    directory: "compute-cluster",
    cluster: "compute",
    image: "compute",
    secrets: ["compute-database", "compute-replication"],
    order: [
      "n1/database-primary < n2/database-secondary < n1/database-again < n3/database-writer < n3/compute-service",
      "n2/database-secondary < n2/database-again < n3/database-writer",
      "n3/compute-service < n3/compute-export < n4/endpoint-config < n4/endpoint-service < n4/compute-check",
      "n4/database-off < n4/endpoint-service < n4/compute-check",
    ],
    verify: "compute-verify",
    oneByOne: ["n1/database-again", "n2/database-again"],
  },
  {
    directory: "object-storage",
    cluster: "objects",
    image: "objects",
    secrets: ["object-hash", "object-account"],
    order: [
      "n1/storage-install < n1/storage-devices < n3/rings-build < n3/rings-export < n1/rings-fetch",
      "n2/storage-install < n2/storage-devices < n3/rings-build < n3/rings-export < n2/rings-fetch",
      "n1/rings-fetch < n1/storage-start < n1/storage-ready < n4/proxy-install",
      "n2/rings-fetch < n2/storage-start < n2/storage-ready < n4/proxy-install",
      "n3/rings-export < n4/rings-fetch < n4/proxy-install < n4/proxy-ready < n4/object-check",
    ],
    verify: "object-verify",
    oneByOne: [],
  },
];

describe.for(examples)("examples/$directory", (example) => {
  const directory = path.join(import.meta.dirname, "../../examples", example.directory);

  it("has a recipe for the image of its roles", async () => {
    const [file = "", ...more] = await readdir(path.join(directory, "image"));
    expect(more).toEqual([]);
    const recipe = path.join(directory, "image", file);
    const { name, agent, packages } = decodeRecipe(recipe, await readFile(recipe, "utf8"));
    expect({ name, agent }).toEqual({ name: example.image, agent: true });
    expect(packages).toContain("puppet-agent");
  });

  it("is taken as a whole, and planned in the order of its scenario", async () => {
    const { daemon, say } = await world(example);
    expect(await say(`apply --dry-run -f ${directory}`)).toMatch(
      /^(\S+ created \(dry run, nothing stored\)\n?)+$/,
    );
    expect(await say(`apply -f ${directory}`)).toMatch(/^(\S+ created\n?)+$/);
    expect(await say(`apply -f ${directory}`)).toMatch(/^(\S+ unchanged\n?)+$/);

    const { plan } = await daemon.muster.deployments.planCluster({ cluster: example.cluster });
    expect(outOfOrder(plan, example.order)).toEqual([]);
    expect(plan?.steps.filter(({ limit }) => limit).map(({ id }) => id)).toEqual(example.oneByOne);
  });

  it("can be asked at any time whether it serves", async () => {
    const { daemon, say } = await world(example, ["n1", "n2", "n3", "n4"]);
    await say(`apply -f ${directory}`);
    const { cluster, verify, order } = example;
    const { plan } = await daemon.muster.deployments.planCluster({ cluster, graphs: [verify] });
    expect(plan?.steps.filter(isLive).map(({ id }) => id)).toEqual([order.at(-1)?.split(" < ").at(-1)]);
  });
});

/** A daemon with four machines, the example's image and its secrets. */
async function world({ cluster, image: name, secrets }: Example, installed: string[] = []) {
  const machine = (one: string) => ({ ...node(one, 2), cluster: installed.includes(one) ? cluster : "" });
  const reboot = (one: string) => ({
    name: `${one}/reboot`,
    node: one,
    task: "reboot",
    deployment: "before-1",
  });
  const daemon = await startTestDaemon([
    put({ case: "image", value: { ...image({}), name } }),
    ...["n1", "n2", "n3", "n4"].map((one) => put({ case: "node", value: machine(one) })),
    ...installed.map((one) => put({ case: "taskRecord", value: create(TaskRecordSchema, reboot(one)) })),
  ]);
  onTestFinished(() => daemon[Symbol.asyncDispose]());
  for (const secret of secrets)
    await daemon.muster.secrets.setSecret({ name: secret, content: randomBytes(8) });
  const say = async (args: string) => {
    const { code, out, err } = await done(muster(daemon.stateDir, args, { now: Date.now }));
    expect([code, err], `muster ${args}`).toEqual([0, ""]);
    return out;
  };
  return { daemon, say };
}

const isLive = ({ skippedBecause, unchangedSince }: PlannedStep) => !skippedBecause && !unchangedSince;

/** Which steps are missing, or may begin before those that belong before them. */
function outOfOrder(plan: Plan | undefined, order: string[]): string[] {
  const steps = new Map(plan?.steps.filter(isLive).map((step) => [step.id, step]));
  return order.flatMap((line) => {
    const ids = line.split(" < ");
    const missing = ids.filter((id) => !steps.has(id)).map((id) => `${id} is not done`);
    const early = ids.flatMap((id, i) => {
      const former = ids[i - 1];
      return former && !allBefore(id, steps).has(former) ? [`${id} does not wait for ${former}`] : [];
    });
    return [...missing, ...early];
  });
}

/** All that a step waits for, at whatever distance. */
function allBefore(id: string, steps: ReadonlyMap<string, PlannedStep>): Set<string> {
  const found = new Set<string>();
  const open = [id];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const required of steps.get(next)?.requires ?? []) {
      if (found.has(required)) continue;
      found.add(required);
      open.push(required);
    }
  }
  return found;
}
