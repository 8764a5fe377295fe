import { describe, expect, it } from "vitest";
import { Scope } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { live, requires, stepOf, TaskWorld } from "./task-plan-fixture.ts";

const three = ["controller", "compute", "compute"];

describe("what has been done", () => {
  it("is left out, until a setting that it reads is another", () => {
    const world = new TaskWorld(["compute"]);
    world.cluster(["compute"], ", settings: {color: blue, size: big}");
    world.tasks(
      "paint: {roles: ['*'], template: {path: /etc/a, content: '{{ settings.color }}'}}",
      "plain: {roles: ['*'], template: {path: /etc/b, content: 'x'}}",
      "loop: {roles: ['*'], template: {path: /etc/c, content: '{% for s in settings %}{{ s }}{% endfor %}'}}",
      "any: {roles: ['*'], reexecute_on: [settings]}",
      "ever: {roles: ['*'], reexecute_on: [deploy]}",
    );
    world.done(world.plan());
    expect(live(world.plan())).toEqual(["n1/ever"]);
    world.cluster(["compute"], ", settings: {color: blue, size: small}");
    expect(live(world.plan())).toEqual(["n1/any", "n1/ever", "n1/loop"]);
    world.cluster(["compute"], ", settings: {color: red, size: big}");
    expect(live(world.plan())).toEqual(["n1/any", "n1/ever", "n1/loop", "n1/paint"]);
    expect(live(world.plan({ scope: Scope.ALL }))).toHaveLength(5);
  });

  it("is another thing with other parameters, tests or secrets", () => {
    const world = new TaskWorld(["compute"]);
    world.tasks("a: {roles: ['*'], parameters: {x: [1]}}", "b: {roles: ['*'], test_pre: 'true'}");
    world.done(world.plan());
    world.tasks("a: {roles: ['*'], parameters: {x: [2]}}", "b: {roles: ['*'], test_pre: 'false'}");
    expect(live(world.plan())).toEqual(["n1/a", "n1/b"]);
  });

  it("does not open the way too early for what comes after it", () => {
    const world = new TaskWorld(["compute"]);
    const tasks = (version: number) => [
      `first: {roles: ['*'], parameters: {v: ${version}}}`,
      "middle: {roles: ['*'], requires: [first]}",
      `last: {roles: ['*'], requires: [middle], parameters: {v: ${version}}}`,
    ];
    world.tasks(...tasks(1));
    world.done(world.plan());
    world.tasks(...tasks(2));
    const plan = world.plan();
    expect(live(plan)).toEqual(["n1/first", "n1/last"]);
    expect(requires(plan, "n1/last")).toEqual(["n1/middle", "n1/first"]);
  });

  it("refreshes when what it refreshes on is done again, and says on what", () => {
    const world = new TaskWorld(["compute", "compute"]);
    const tasks = (content: string) => [
      `config: {roles: ['*'], template: {path: /etc/a, content: '${content}'}}`,
      "restart: {roles: ['*'], refresh_on: [config]}",
      "check: {roles: ['*'], refresh_on: [restart]}",
    ];
    world.tasks(...tasks("1"));
    const first = world.plan();
    expect(requires(first, "n1/restart")).toEqual(["n1/config"]);
    expect(stepOf(first, "n1/restart").refreshOn).toEqual([]);
    world.done(first);
    expect(live(world.plan())).toEqual([]);
    world.tasks(...tasks("2"));
    const plan = world.plan();
    expect(live(plan)).toHaveLength(6);
    expect(stepOf(plan, "n1/restart")).toMatchObject({ refreshOn: ["n1/config"], unchangedSince: "" });
    expect(stepOf(plan, "n1/restart").action).toBeDefined();
    expect(stepOf(plan, "n2/check").refreshOn).toEqual(["n2/restart"]);
  });
});

describe("nodes that come to a cluster", () => {
  it("bring only their own work, and what reacts to them", () => {
    const world = new TaskWorld(three);
    world.tasks(
      "install: {roles: ['*']}",
      "init: {roles: [compute], run_once: true}",
      "join: {roles: [compute], cross_depends: [{task: install, role: '*'}, {task: init, role: '*'}]}",
      "hosts: {roles: ['*'], template: {path: /etc/h, content: '{% for n in nodes %}{{ n.fqdn }}{% endfor %}'}}",
      "count: {roles: [controller], reexecute_on: [nodes]}",
      "reload: {roles: [controller], refresh_on: [hosts]}",
      "verify: {roles: [controller], stage: post_deployment}",
    );
    world.done(world.plan());
    expect(live(world.plan())).toEqual([]);
    world.cluster([...three, "compute"]);
    const plan = world.plan();
    expect(
      live(plan)
        .filter((id) => !id.startsWith("_"))
        .sort(),
    ).toEqual(
      [
        "n1/count",
        "n1/hosts",
        "n1/reload",
        "n2/hosts",
        "n3/hosts",
        "n4/hosts",
        "n4/install",
        "n4/join",
      ].sort(),
    );
    const provisioned = plan.steps.filter(({ task, unchangedSince }) => task === "image" && !unchangedSince);
    expect(provisioned.map(({ node }) => node)).toEqual(["n4"]);
  });
});
