import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { done, folder, muster, start } from "../testing/muster.ts";
import { plan } from "../testing/plan.ts";

describe("muster graph", () => {
  it("shows the tasks of a cluster's plan", async () => {
    const { stateDir } = await start();
    const shown = await done(muster(stateDir, "graph show demo"));
    expect(shown.code).toBe(0);
    expect(shown.out).toMatch(/^Graph default of cluster demo: 8 tasks, 21 steps$/m);
    expect(shown.out).toMatch(/^8\. +worker +compute +n2 n3 +after reboot; database elsewhere$/m);
    expect((await done(muster(stateDir, "graph show demo --dot"))).out).toMatch(
      /^digraph "demo default" \{$/m,
    );
    expect((await done(muster(stateDir, "graph show demo --mermaid"))).out).toMatch(/^flowchart LR$/m);
    expect((await done(muster(stateDir, "graph show demo --svg"))).out).toMatch(/^<svg .*<\/svg>$/s);
    const { boxes } = JSON.parse((await done(muster(stateDir, "graph show demo -o json"))).out);
    expect(boxes).toHaveLength(8);
    expect((await done(muster(stateDir, "graph show demo --dot --svg"))).code).toBe(2);
    expect((await done(muster(stateDir, "graph show none"))).code).toBe(2);
  });

  it("asks for the part that is wanted", async () => {
    const requests: unknown[] = [];
    const planCluster = async (request: unknown) => {
      requests.push(request);
      return { plan };
    };
    const { stateDir } = await start({ deployments: { planCluster } });
    await done(muster(stateDir, "graph show --graph verify --nodes n[1-2] demo"));
    await done(muster(stateDir, "graph order demo --all"));
    expect(requests).toMatchObject([
      { cluster: "demo", graphs: ["verify"], nodes: ["n1", "n2"], scope: 1 },
      { cluster: "demo", graphs: [], nodes: [], scope: 2 },
    ]);
  });

  it("says in which order steps are done, and what takes longest", async () => {
    const filters: string[] = [];
    const listAttempts = async ({ filter }: { filter: string }) => {
      filters.push(filter);
      return { attempts: [] };
    };
    const { stateDir } = await start({ deployments: { listAttempts } });
    const { code, out } = await done(muster(stateDir, "graph order demo"));
    expect(code).toBe(0);
    expect(out).toMatch(/^Order of cluster demo: 21 steps in 8 waves$/m);
    expect(out).toMatch(/^ {2}7\. +database +n1$/m);
    expect(out).toContain("Critical path: 8 steps; none has been done before");
    expect(filters).toEqual(['deployment = "demo-*"']);
    const json = JSON.parse((await done(muster(stateDir, "graph order demo --json"))).out);
    expect(json.waves[7]).toEqual(["n2/worker", "n3/worker"]);
    expect(json.path.at(-1).id).toMatch(/worker$/);
  });
});

describe("muster report", () => {
  it("shows what became of a deployment, by its name or its cluster's", async () => {
    const { stateDir } = await start();
    const { code, out } = await done(muster(stateDir, "report demo"));
    expect(code).toBe(0);
    expect(out).toMatch(/^demo-1: running, has been running for 2m05s; 21 steps, 9 of them begun/m);
    expect(out).toMatch(/^n1 \|a+b*c+~\|$/m);
    expect(out).toMatch(/^ {2}n3\/image +2 +failed +\+1m45s +chunk 412 is damaged/m);
    expect((await done(muster(stateDir, "report demo-1"))).out).toBe(out);
    expect((await done(muster(stateDir, "report none"))).code).toBe(2);
  });

  it("writes a picture and a page, and prints JSON", async () => {
    const { stateDir } = await start();
    const dir = await folder({});
    const [svg, html] = [join(dir, "a.svg"), join(dir, "a.html")];
    expect(await done(muster(stateDir, `report demo --svg ${svg} --html ${html}`))).toMatchObject({
      code: 0,
      out: "",
    });
    expect(await readFile(svg, "utf8")).toMatch(/^<svg .*<\/svg>\n$/s);
    expect(await readFile(html, "utf8")).toMatch(/^<!DOCTYPE html>.*<svg .*<\/html>\n$/s);
    const { deployment, steps } = JSON.parse((await done(muster(stateDir, "report demo -o json"))).out);
    expect(deployment).toBe("demo-1");
    expect(steps).toHaveLength(21);
    const refused = await done(muster(stateDir, `report demo --svg ${join(dir, "none/a.svg")}`));
    expect(refused.code).toBe(2);
    expect(refused.err).toContain("cannot be written");
  });
});
