import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { graphProgram } from "./graph-cli.ts";

const library = join(import.meta.dirname, "domain/graph-import/fixtures/fuel");
let dir = "";

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "muster-graph-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function graphImport(...argv: string[]) {
  const said = { out: "", err: "" };
  const print = {
    out: (text: string) => {
      said.out += text;
    },
    err: (text: string) => {
      said.err += `${text}\n`;
    },
  };
  await graphProgram(print).parseAsync(["graph", "import", ...argv], { from: "user" });
  return said;
}

describe("muster graph import", () => {
  it("prints Fuel's tasks as manifests, and says beside them what is different", async () => {
    const { out, err } = await graphImport("fuel", library);
    const tasks = parseAllDocuments(out).map((document) => document.toJS());
    expect(tasks.find(({ name }) => name === "uplinks").puppet).toEqual({
      source: "puppet/site/base/uplinks.pp",
      modules: "puppet",
    });
    expect(out).toContain('# role controller: fault_tolerance: "1"\n');
    expect(err).toContain(
      "not converted: puppet/site/base/tasks.yaml:22: default/make_keys: runs on Fuel's master",
    );
    expect(err).toMatch(/16 tasks: \d+ as they were, \d+ with the differences above, 2 not converted/);
  });

  it("writes a file, with paths relative to it", async () => {
    const file = join(dir, "muster.yaml");
    expect(
      (await graphImport("fuel", library, "-o", file, "--no-tests", "--tag", "rabbitmq=broker")).out,
    ).toBe("");
    const tasks = parseAllDocuments(readFileSync(file, "utf8")).map((document) => document.toJS());
    const rabbit = tasks.find(({ name }) => name === "primary-queue");
    expect(join(dir, rabbit.puppet.modules)).toBe(join(library, "puppet"));
    expect(rabbit).toMatchObject({ roles: ["primary-broker"] });
    expect(rabbit.test_post).toBeUndefined();
  });

  it("is refused with reasons", async () => {
    await expect(graphImport("fuel", library, "--strict")).rejects.toThrow(
      "make_keys: runs on Fuel's master",
    );
    await expect(graphImport("fuel", dir, "--tag", "x")).rejects.toThrow("there is no tasks.yaml below");
    await expect(graphImport("fuel", library, "--tag", "x")).rejects.toThrow("--tag x is no TAG=ROLE");
    await expect(graphImport("scenario", join(dir, "none"))).rejects.toThrow("cannot be read");
  });

  it("prints a scenario as manifests", async () => {
    const file = join(dir, "scenario.yaml");
    writeFileSync(file, "name: s\nsteps:\n  - { role: a, shell: ls }\n  - { role: b, shell: ls }\n");
    const tasks = parseAllDocuments((await graphImport("scenario", file)).out).map((document) =>
      document.toJS(),
    );
    expect(tasks).toMatchObject([
      { kind: "Task", name: "s-1-a", shell: { command: "ls" } },
      { kind: "Task", name: "s-2-b", cross_depends: [{ task: "s-1-a", role: "a" }] },
    ]);
  });
});
