// A machine that has an image gets the next version of it: little is moved. Long; MUSTER_RACK_ALL=1
// (npm run test:rack:all) asks for it.
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { Environment } from "../../proto/gen/muster/v1/node_pb.ts";
import { recipe, registerImage } from "./bring-up.ts";
import { diskManifests } from "./demo-manifests.ts";
import { resultOf } from "./deployment.ts";
import { nodeOf, untilNode } from "./disk-loss.ts";
import { lines } from "./lines.ts";
import { muster } from "./muster.ts";
import { OneMachine } from "./one-machine.ts";

describe.runIf(process.env.MUSTER_RACK_ALL)("a new version of an image", () => {
  it("moves less than a third of it to a machine that has the old one, which boots it", async ({
    signal,
  }) => {
    const world = await OneMachine.up(signal, { manifests: diskManifests() });
    onTestFinished(() => world[Symbol.asyncDispose]());
    const { operator } = world;
    await world.deploy();
    const before = await nodeOf(world);

    await registerImage(operator, await buildNewer(world), lines);
    const ended = await world.deploy();
    const progress = ended.steps.find(({ task }) => task === "image")?.progress;
    const { image } = await operator.images.getImage({ name: "debian-12" });
    if (!progress || !image) throw new Error("there is no image step, or no image");
    lines(`${progress.movedBytes >> 20n} of ${image.storedBytes >> 20n} MiB were moved`);
    expect(progress.movedBytes).toBeGreaterThan(0n);
    expect(Number(progress.movedBytes)).toBeLessThan(0.3 * Number(image.storedBytes));
    expect(resultOf(ended, "image")).toMatch(/ moved, .+ written, .+ skipped, ext4 grown to /);

    const after = await untilNode(
      world,
      (node) => node.environment === Environment.INSTALLED && node.bootId !== before.bootId && node.online,
    );
    expect(after.installed?.imageDigest).toBe(image.digest);
    expect(after.installed?.imageDigest).not.toBe(before.installed?.imageDigest);
  });
});

/**
 * The same recipe with one more package. In a build directory of its own, as the builder keeps only the last result
 * of a name; but with the daemon's store, which tells the builder what is there.
 */
async function buildNewer({ stateDir, signal }: OneMachine): Promise<string> {
  const newer = path.join(stateDir, "newer");
  mkdirSync(newer, { recursive: true });
  rmSync(path.join(newer, "images"), { force: true });
  symlinkSync("../images", path.join(newer, "images"));
  const file = path.join(newer, "recipe.yaml");
  writeFileSync(file, readFileSync(recipe, "utf8").replace("  - less\n", "  - jq\n  - less\n"));
  await muster(["image", "build", file], { stateDir: newer, signal, log: lines });
  return path.join(newer, "build/images/debian-12");
}
