import { describe, expect, it } from "vitest";
import { decodeManifests, formatFault } from "../../../proto/manifest/decode.ts";
import { live, TaskWorld } from "../task-plan-fixture.ts";
import { ImportRefusal } from "./imported.ts";
import { manifestText } from "./manifest-text.ts";
import { importScenario } from "./scenario.ts";

const compute = `name: compute
modules: modules
steps:
  - role: controller
    nodes: primary
    puppet: controller.pp
    may_fail: true # there is nobody yet to replicate with
  - role: controller
    nodes: secondary
    puppet: controller.pp
  - name: replicate
    role: controller
    puppet: controller.pp
    parallel: false
    wait: { port: "10.0.0.9:3306", from: compute, timeout: 5m }
  - role: compute
    puppet: compute.pp
    timeout: 30m
  - role: endpoint
    puppet: { source: endpoint.pp, modules: others }
    wait: { http: "http://localhost:80/" }
`;

const storage = `name: swift
steps:
  - { role: storage, puppet: storage.pp }
  - { role: ring-builder, puppet: ring.pp, wait: [{ file: /etc/swift/object.ring.gz }, { command: swift-ring-builder /etc/swift/object.builder }] }
  - { role: storage, name: distribute, puppet: storage.pp, parallel: 4 }
  - { role: proxy, puppet: proxy.pp }
`;

const specs = (content: string) => importScenario("scenario.yaml", content).documents.map(({ spec }) => spec);

describe("a scenario", () => {
  it("of a compute cluster: controllers one after the other and again, computes, the endpoint", () => {
    expect(specs(compute)).toEqual([
      {
        name: "compute-1-controller",
        roles: ["controller"],
        run_once: true,
        fail_on_error: false,
        puppet: { modules: "modules", source: "controller.pp" },
      },
      {
        name: "compute-2-controller",
        roles: ["controller"],
        cross_depends: [{ task: "compute-1-controller", role: "controller" }],
        condition: 'node.name != roles["controller"][0]',
        puppet: { modules: "modules", source: "controller.pp" },
      },
      {
        name: "replicate",
        roles: ["controller"],
        cross_depends: [{ task: "compute-2-controller", role: "controller" }],
        strategy: { type: "one_by_one" },
        puppet: { modules: "modules", source: "controller.pp" },
      },
      {
        name: "replicate-wait",
        roles: ["compute"],
        cross_depends: [{ task: "replicate", role: "controller" }],
        reexecute_on: ["deploy"],
        timeout: "5m",
        wait_for: { port: "10.0.0.9:3306" },
      },
      {
        name: "compute-4-compute",
        roles: ["compute"],
        cross_depends: [{ task: "replicate-wait", role: "compute" }],
        timeout: "30m",
        puppet: { modules: "modules", source: "compute.pp" },
      },
      {
        name: "compute-5-endpoint",
        roles: ["endpoint"],
        cross_depends: [{ task: "compute-4-compute", role: "compute" }],
        puppet: { modules: "others", source: "endpoint.pp" },
      },
      {
        name: "compute-5-endpoint-wait",
        roles: ["endpoint"],
        cross_depends: [{ task: "compute-5-endpoint", role: "endpoint" }],
        refresh_on: ["compute-5-endpoint"],
        wait_for: { http: "http://localhost:80/" },
      },
    ]);
  });

  it("of an object store: storage, the rings, storage again, the proxy", () => {
    expect(
      specs(storage).map(({ name, cross_depends, strategy }) => [name, cross_depends, strategy]),
    ).toEqual([
      ["swift-1-storage", undefined, undefined],
      ["swift-2-ring-builder", [{ task: "swift-1-storage", role: "storage" }], undefined],
      ["swift-2-ring-builder-wait", [{ task: "swift-2-ring-builder", role: "ring-builder" }], undefined],
      [
        "swift-2-ring-builder-wait-2",
        [{ task: "swift-2-ring-builder-wait", role: "ring-builder" }],
        undefined,
      ],
      [
        "distribute",
        [{ task: "swift-2-ring-builder-wait-2", role: "ring-builder" }],
        { type: "parallel", amount: 4 },
      ],
      ["swift-4-proxy", [{ task: "distribute", role: "storage" }], undefined],
    ]);
  });

  it.each([compute, storage])("becomes manifests without a fault", (content) => {
    const text = manifestText(importScenario("scenario.yaml", content), "scenario.yaml");
    const { documents, faults } = decodeManifests([{ path: "tasks.yaml", content: text }]);
    expect(faults.map(formatFault)).toEqual([]);
    expect(documents).toHaveLength(specs(content).length);
  });

  it("is planned in the order of its steps", () => {
    const world = new TaskWorld(["compute"]);
    world.apply(
      ["controller", "endpoint"]
        .map((name) => `{kind: Role, name: ${name}, image: debian, scheme: plain}`)
        .join("\n---\n"),
    );
    world.apply(manifestText(importScenario("scenario.yaml", compute), "scenario.yaml"));
    world.cluster(["controller", "controller", "compute", "compute", "endpoint"]);
    const plan = world.plan();
    const waves = [
      ["n1/compute-1-controller"],
      ["n2/compute-2-controller"],
      ["n1/replicate", "n2/replicate"],
      ["n3/replicate-wait", "n4/replicate-wait"],
      ["n3/compute-4-compute", "n4/compute-4-compute"],
      ["n5/compute-5-endpoint"],
      ["n5/compute-5-endpoint-wait"],
    ];
    expect(live(plan).filter((id) => !id.startsWith("_/"))).toEqual(waves.flat());
    const skipped = plan.steps.filter(({ skippedBecause }) => skippedBecause).map(({ id }) => id);
    expect(skipped).toEqual(["n1/compute-2-controller"]);
  });

  it("is refused with every fault and its line", () => {
    const wrong = `name: x
steps:
  - { role: a, pupet: a.pp }
  - { puppet: b.pp, nodes: some, parallel: many }
  - { role: c, puppet: c.pp, shell: ls, wait: { prot: "1" } }
  - { role: d, shell: "" }
  - once
`;
    const refused = () => importScenario("s.yaml", wrong);
    expect(refused).toThrow(ImportRefusal);
    expect(refused).toThrow(
      [
        "s.yaml:3: step 1: there is no `pupet`; did you mean `puppet`?",
        "s.yaml:3: step 1: needs one action, and has none; such as puppet, shell or ansible",
        "s.yaml:4: step 2: needs a role",
        "s.yaml:4: step 2: `nodes` is primary, secondary or all",
        "s.yaml:4: step 2: `parallel` is true, false, or how many nodes at once",
        "s.yaml:5: step 3: needs one action, and has shell, puppet; such as puppet, shell or ansible",
        "s.yaml:5: step 3: `wait` needs one of port, http, file, command",
        "s.yaml:6: step 4: shell: needs a command or a script, and not both",
        "s.yaml:7: step 5: is a map with a role and what is done on its nodes",
      ].join("\n"),
    );
    expect(() => importScenario("s.yaml", "steps: []")).toThrow("s.yaml:1: a scenario has a name and steps");
  });
});
