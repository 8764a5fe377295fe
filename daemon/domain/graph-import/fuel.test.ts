import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { decodeManifests, formatFault } from "../../../proto/manifest/decode.ts";
import { checkManifests } from "../manifests.ts";
import { State } from "../state.ts";
import { live, TaskWorld } from "../task-plan-fixture.ts";
import { type FuelOptions, importFuel } from "./fuel.ts";
import { ImportRefusal } from "./imported.ts";
import { manifestText } from "./manifest-text.ts";

const root = join(import.meta.dirname, "fixtures/fuel");
const paths = readdirSync(root, { recursive: true, encoding: "utf8" }).sort();
const library = paths
  .filter((path) => path.endsWith("tasks.yaml"))
  .map((path) => ({ path, content: readFileSync(join(root, path), "utf8") }));

const one = (content: string, options: FuelOptions = {}, others: string[] = []) =>
  importFuel([{ path: "tasks.yaml", content }], others, options);

/** The first task of a file. */
function task(content: string, options: FuelOptions = {}, others: string[] = []) {
  const { documents, notes } = one(content, options, others);
  return { spec: documents.find(({ kind }) => kind === "Task")?.spec, notes };
}

const scheme = readFileSync(join(import.meta.dirname, "../../../examples/schemes/flat.yaml"), "utf8");

describe("a library in Fuel's words", () => {
  const imported = importFuel(library, paths, { image: "debian-12", scheme: "flat" });
  const specs = new Map(imported.documents.map(({ kind, spec }) => [`${kind}/${spec.name}`, spec]));

  it("becomes manifests without a fault", () => {
    const { documents, faults } = decodeManifests([
      { path: "fuel.yaml", content: manifestText(imported, "Fuel") },
    ]);
    expect(faults.map(formatFault)).toEqual([]);
    expect(documents).toHaveLength(imported.documents.length);
    const stored = decodeManifests([{ path: "scheme.yaml", content: scheme }]).documents;
    const wrong = checkManifests(new State(), [...stored, ...documents]).map(formatFault);
    expect(wrong.filter((fault) => !fault.includes("there is no image"))).toEqual([]);
  });

  it("can be planned: stages one after the other, and what was not converted in its place", () => {
    const world = new TaskWorld(["compute"]);
    world.apply(manifestText(importFuel(library, paths, { image: "debian", scheme: "plain" }), "Fuel"));
    world.cluster(["primary-controller", "controller"]);
    const order = live(world.plan());
    const place = (id: string) => order.indexOf(id);
    expect(place("n2/hello")).toBeGreaterThanOrEqual(0);
    for (const [first, then] of [
      ["n2/hello", "n1/pre-deployment-start"],
      ["n1/pre-deployment-start", "n2/bring-modules"],
      ["n1/make-keys", "n1/primary-queue"],
      ["n2/bring-modules", "n1/uplinks"],
      ["n1/uplinks", "n1/primary-queue"],
      ["n1/primary-queue", "n1/first-image"],
    ] as const) {
      expect([first, place(first) < place(then)]).toEqual([first, true]);
    }
  });

  it("keeps order, roles, times and Puppet code", () => {
    expect(specs.get("Task/primary-queue")).toEqual({
      name: "primary-queue",
      roles: ["primary-controller"],
      requires: ["uplinks"],
      cross_depends: [{ task: "make-keys", role: "*" }],
      timeout: "900s",
      retries: 2,
      interval: "2s",
      backoff: 1,
      strategy: { type: "parallel", amount: 3 },
      reexecute_on: ["settings", "nodes"],
      test_post: "queuectl ping",
      puppet: { source: "puppet/site/queue/queue.pp", modules: "puppet" },
    });
    expect(specs.get("Task/bring-modules")).toMatchObject({
      roles: ["*"],
      stage: "pre_deployment",
      sync: { source: "puppet", path: "/etc/puppet/modules", delete: true },
    });
    expect(specs.get("Task/first-image")).toMatchObject({
      roles: ["primary-controller"],
      stage: "post_deployment",
    });
    expect(specs.get("Role/controller")).toMatchObject({ fault_tolerance: "1" });
    expect(specs.get("Graph/provision")).toEqual({ name: "provision" });
  });

  it("names what it cannot do with its line, and keeps its place in the order", () => {
    const lost = imported.notes.filter(({ degree }) => degree === "lost");
    expect(lost.map(({ file, line, subject, message }) => `${file}:${line} ${subject}: ${message}`)).toEqual([
      "graphs/provision/tasks.yaml:13 provision/hand_over: its content is worked out by YAQL, `$.items().toJson()`: write it as a template",
      "puppet/site/base/tasks.yaml:22 default/make_keys: runs on Fuel's master, where Muster runs nothing",
    ]);
    expect(specs.get("Task/make-keys")).toMatchObject({ roles: ["*"], run_once: true, noop: {} });
    expect(imported.tally).toEqual({ all: 16, whole: 10, differing: 4, lost: 2 });
  });

  it("has a stage of its own stay, where others stand before and after it within one of Muster's", () => {
    expect(specs.get("Task/pre-deployment-start")).toEqual({
      name: "pre-deployment-start",
      roles: ["*"],
      run_once: true,
      stage: "pre_deployment",
      noop: {},
    });
    expect(specs.get("Task/hello")).toMatchObject({
      stage: "pre_deployment",
      cross_depended_by: [{ task: "pre-deployment-start", role: "*" }],
    });
    expect(specs.get("Task/bring-modules")).toMatchObject({
      cross_depends: [{ task: "pre-deployment-start", role: "*" }],
    });
    expect(specs.has("Task/deploy-start")).toBe(false);
  });
});

describe("a task of Fuel", () => {
  it("runs what is on the node if the tree has no such manifest", () => {
    const { spec, notes } = task(
      "- { id: a, type: puppet, role: '*', parameters: { puppet_manifest: /etc/puppet/modules/x/a.pp, puppet_modules: /etc/puppet/modules } }",
    );
    expect(spec?.shell).toMatchObject({ unchanged_codes: [100] });
    expect(notes).toMatchObject([
      { line: 1, degree: "differs", message: expect.stringContaining("is not in the tree") },
    ]);
  });

  it("gets the settings that Fuel would put into its command", () => {
    const { documents, remarks } = one(
      "- { id: a, type: shell, role: [compute], parameters: { cmd: 'ln -s /etc/{CLUSTER_ID} /x', cwd: /tmp, timeout: 5 } }",
    );
    expect(documents[0]?.spec).toMatchObject({
      shell: { command: `ln -s /etc/\${MUSTER_SETTING_CLUSTER_ID} /x`, cwd: "/tmp" },
      timeout: "5s",
    });
    expect(remarks).toEqual(["needs manifests of the roles compute", "reads the settings cluster_id"]);
  });

  it("uploads files, reboots, and may fail", () => {
    const { spec } = task(
      "- { id: a, type: upload_file, role: '*', parameters: { path: /a, data: x, permissions: '0600', user_owner: bin } }",
    );
    expect(spec?.upload_file).toEqual({ path: "/a", content: "x", mode: "0600", owner: "bin" });
    expect(task("- { id: reboot, type: reboot, role: '*', fail_on_error: false }").spec).toMatchObject({
      name: "fuel-reboot",
      reboot: {},
      fail_on_error: false,
      timeout: "900s",
    });
  });

  it("depends on any of several tasks, and on roles by their tags", () => {
    const { spec } = task(`
- id: z
  type: skipped
  role: [compute]
  requires: [/a./, nothing]
  cross-depends: [{ name: /a./, role: ['/(primary-)?neutron/'], policy: any }, { name: a1, role: self }]
- { id: a1, type: skipped, tags: [primary-neutron, neutron] }
- { id: a2, type: skipped, tags: [neutron] }`);
    expect(spec).toMatchObject({
      requires: ["a1", "a2"],
      cross_depends: [
        { task: "/^(a1|a2)$/", role: "/^(primary-controller|controller)$/", policy: "any" },
        { task: "a1", role: "self" },
      ],
    });
    const own = task("- { id: a, type: skipped, tags: [neutron] }", {
      tags: new Map([["neutron", ["network"]]]),
    });
    expect(own.spec?.roles).toEqual(["network"]);
  });

  it("takes what a group names besides", () => {
    const { spec } = task(
      "- { id: a, type: skipped, role: [x] }\n- { id: g, type: group, role: [y], tasks: [a], fault_tolerance: 2% }",
    );
    expect(spec?.roles).toEqual(["x", "y"]);
  });

  it("is told in which way it is different", () => {
    const { spec, notes } = task(`
- id: a
  type: skipped
  role: [x]
  odd: 1
  requires: [gone]
  condition: { yaql_exp: old($.a) }
  reexecute_on: [deploy_changes, full_moon]
  requires: [away]`);
    expect(spec?.reexecute_on).toEqual(["deploy"]);
    expect(notes.map(({ line, message }) => `${line}: ${message}`)).toEqual([
      "5: `odd` means nothing to Muster",
      "9: `requires` is there twice, and the last one counts, as in Fuel",
      "9: there is no task `away`: left out, as in Fuel",
      "7: its condition is not carried over, so it always runs: `old(...)` has no counterpart",
      "8: `full_moon` is no event that Muster knows",
    ]);
  });

  it("is lost if nobody runs it but Fuel's master, and says so if others do too", () => {
    const nowhere = task("- { id: a, type: skipped }");
    expect(nowhere.notes).toMatchObject([
      { degree: "lost", message: "has no role, so that Fuel runs it nowhere" },
    ]);
    expect(nowhere.spec).toEqual({ name: "a", roles: ["*"], run_once: true, noop: {} });
    const both = task(
      "- { id: a, type: shell, role: [master, compute], parameters: { cmd: ls, debug: true } }",
    );
    expect(both.spec?.roles).toEqual(["compute"]);
    expect(both.notes.map(({ message }) => message)).toEqual([
      "`debug` means nothing to Muster",
      "it is not done on Fuel's master",
    ]);
  });

  it("is refused with its place if it is none", () => {
    const refusal = (content: string) => {
      try {
        one(content);
      } catch (error) {
        if (error instanceof ImportRefusal) return error.reasons;
      }
      return [];
    };
    expect(refusal("- { id: a }\n- { type: shell }\n")).toEqual([
      "tasks.yaml:1: a task has an id and a type",
      "tasks.yaml:2: a task has an id and a type",
    ]);
    expect(refusal("a: 1")).toEqual(["tasks.yaml:1: is a list of tasks, each with an id and a type"]);
    expect(refusal("- {id: a, type: stage}\n- {id: a, type: stage}")).toEqual([
      "tasks.yaml:2: there is a task a at tasks.yaml:1",
    ]);
    expect(refusal("- [")[0]).toMatch(/^tasks.yaml:1: this is not valid YAML/);
  });

  it("stands in its comments with where it came from", () => {
    const text = manifestText(one("- { id: a, type: master_shell, parameters: { cmd: x } }"), "here");
    expect(text).toContain(
      "# tasks.yaml:1\n# NOT CONVERTED: runs on Fuel's master, where Muster runs nothing\nkind: Task\n",
    );
    expect(parse(text)).toMatchObject({ kind: "Task", noop: {} });
  });
});
