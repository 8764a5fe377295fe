import { describe, expect, it } from "vitest";
import { missingPrograms } from "./missing-programs.ts";
import { image } from "./plan-fixture.ts";
import { put } from "./state.ts";
import { TaskWorld } from "./task-plan-fixture.ts";

it("is known of an image whose packages are", () => {
  expect(missingPrograms(["bash=5.2", "puppet-agent=7.23"])).toEqual(["ansible"]);
  expect(missingPrograms(["ansible-core=2.14", "puppet-module-x=1"])).toEqual(["puppet"]);
  expect(missingPrograms([])).toEqual([]);
});

describe("a task whose program the image does not have", () => {
  const site = "site: {roles: ['*'], requires: [get], puppet: {manifest: 'notice(1)'}}";
  const fault =
    "task site needs puppet, which image debian does not have: add it to the packages of the image's recipe, " +
    "or to a task before this one, `package: {install: [puppet]}`";

  function world(get: string, missing = ["puppet", "ansible"]): TaskWorld {
    const world = new TaskWorld(["compute", "compute"]);
    world.state.apply(put({ case: "image", value: { ...image({}), missingPrograms: missing } }));
    world.tasks(`get: {roles: ['*'], ${get}}`, site);
    return world;
  }

  it("is refused before anything runs", () => {
    expect(world("noop: {}").faults()).toEqual([fault]);
    expect(world("noop: {}", ["ansible"]).faults()).toEqual([]);
    expect(world("noop: {}", []).faults()).toEqual([]);
  });

  it.each(["package: {install: [puppet]}", "shell: {command: apt-get install -y puppet-agent}"])(
    "is not, if a task before it may bring it: %s",
    (get) => {
      expect(world(get).faults()).toEqual([]);
    },
  );

  it("is left to the agent on a system that runs already", () => {
    const known = world("noop: {}", []);
    known.done(known.plan());
    known.state.apply(put({ case: "image", value: { ...image({}), missingPrograms: ["puppet"] } }));
    expect(known.faults({ tasks: ["site"], scope: 2 })).toEqual([]);
  });
});
