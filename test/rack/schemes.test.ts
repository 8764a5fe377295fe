// Partition schemes of many kinds in a real machine: deployed, looked at, and booted again with a disk taken out.
// Long; MUSTER_RACK_ALL=1 (npm run test:rack:all) asks for them.
import { randomBytes } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import { Environment } from "../../proto/gen/muster/v1/node_pb.ts";
import { resultOf } from "./deployment.ts";
import { nodeOf, removeDisk, untilNode } from "./disk-loss.ts";
import { OneMachine } from "./one-machine.ts";
import { scenarioManifests, schemeScenarios } from "./schemes.ts";

describe.runIf(process.env.MUSTER_RACK_ALL)("schemes", () => {
  it.for(schemeScenarios)("deploys $title, and boots without disk $spare", async (scenario, { signal }) => {
    const options = { ...scenario.machine, manifests: scenarioManifests(scenario) };
    const world = await OneMachine.up(signal, options);
    onTestFinished(() => world[Symbol.asyncDispose]());
    for (const name of scenario.secrets ?? []) {
      await world.operator.secrets.setSecret({ name, content: randomBytes(64) });
    }
    // Its last task has looked at what the kernel of the installed system shows.
    const ended = await world.deploy();
    expect(resultOf(ended, "partition")).toMatch(/ raid1 \[UU\]/);
    const before = await nodeOf(world);

    await removeDisk(world, scenario.spare);
    const after = await untilNode(
      world,
      (node) => node.environment === Environment.INSTALLED && node.bootId !== before.bootId && node.online,
    );
    expect(after.installed?.arrays.join()).toMatch(/ raid1 \[2\/1\] \[(_U|U_)\]$/);
    expect(after.installed?.rootDevice).toBe(before.installed?.rootDevice);
  });
});
