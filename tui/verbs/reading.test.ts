import { describe, expect, it } from "vitest";
import { ExamineResponse_Level } from "../../proto/gen/muster/v1/daemon_pb.ts";
import { attempts, deployment, node, steps } from "../testing/fixtures.ts";
import { done, muster, start } from "../testing/muster.ts";

describe("explain", () => {
  it("says why, what it waits for and what helps", async () => {
    const fake = await start();
    const { code, out } = await done(muster(fake.stateDir, "explain demo/n3/image"));
    expect([code, out]).toEqual([
      0,
      "step/demo-1/n3/image is failed: attempt 2 of 2 failed: chunk 412 is damaged\n" +
        "what helps: repair the image, then: muster retry demo-1",
    ]);
    const json = await done(muster(fake.stateDir, "explain demo/n3/image --json"));
    expect(JSON.parse(json.out)).toMatchObject({ subject: "step/demo-1/n3/image", state: "failed" });
    expect((await done(muster(fake.stateDir, "explain nothing"))).code).toBe(2);
  });

  it("shows the chain of what is waited for", async () => {
    const explain = async () => ({
      subject: "step/c",
      state: "pending",
      why: "waits",
      waitsFor: ["step/b", "step/a"],
    });
    const fake = await start({ daemon: { explain } });
    const { out } = await done(muster(fake.stateDir, "explain c"));
    expect(out).toBe("step/c is pending: waits\nwaits for: step/b -> step/a");
  });
});

describe("doctor", () => {
  it("prints each finding with its remedy, and fails only if something is wrong", async () => {
    const fake = await start();
    const { code, out } = await done(muster(fake.stateDir, "doctor"));
    expect([code, out]).toEqual([
      0,
      [
        "ok       ports           8080, 8081 and 8082 answer",
        "WARNING  disk-space      /var/lib/muster has 1 GiB left",
        "                         what helps: delete images that no role names",
      ].join("\n"),
    ]);
    const one = await done(muster(fake.stateDir, "doctor ports --json"));
    expect(JSON.parse(one.out).items).toMatchObject([{ check: "ports", level: "LEVEL_OK" }]);
    const bad = await start({
      daemon: {
        examine: async function* () {
          yield { check: "ports", level: ExamineResponse_Level.ERROR, message: "no", remedy: "yes" };
        },
      },
    });
    expect((await done(muster(bad.stateDir, "doctor"))).code).toBe(1);
  });
});

describe("history", () => {
  it("lists attempts, the newest first, of a deployment, node and task", async () => {
    const filters: string[] = [];
    const listAttempts = async ({ filter }: { filter: string }) => {
      filters.push(filter);
      return { attempts };
    };
    const fake = await start({ deployments: { listAttempts } });
    const { code, out } = await done(muster(fake.stateDir, "history demo --node n3 --task image"));
    expect(code).toBe(0);
    expect(filters).toEqual(['deployment = "demo-1" AND node = "n3" AND task = "image"']);
    expect(out).toMatchInlineSnapshot(`
      "STEP             #  STATE      STARTED              TOOK  EXIT  PLAN          REASON
      demo-1/n3/image  2  failed     2026-11-21 11:59:20  20s   1     a1b2c3d4a1b2  chunk 412 is damaged
      demo-1/n3/image  1  failed     2026-11-21 11:58:44  31s   1     a1b2c3d4a1b2  the connection broke
      demo-1/n2/image  1  succeeded  2026-11-21 11:58:30  13s         a1b2c3d4a1b2  712 MiB"
    `);
    const json = await done(muster(fake.stateDir, "history --json"));
    expect(JSON.parse(json.out).items).toHaveLength(3);
    await done(muster(fake.stateDir, "history gone-7"));
    expect(filters.slice(1)).toEqual(["", 'deployment = "gone-7"']);
  });

  it("shows no more than is asked for, and says so", async () => {
    const fake = await start();
    const { out, err } = await done(muster(fake.stateDir, "history --last 1"));
    expect(out.split("\n")).toHaveLength(2);
    expect(err).toBe("only the last 1 are shown; --last shows more");
    expect((await done(muster(fake.stateDir, "history --last none"))).code).toBe(2);
    const empty = await start({ deployments: { listAttempts: async () => ({}) } });
    expect((await done(muster(empty.stateDir, "history"))).out).toBe("no attempt is remembered that fits");
  });
});

describe("get", () => {
  it("fetches all pages, with the filter on each", async () => {
    const requests: { pageToken: string; filter: string }[] = [];
    const names = Array.from({ length: 5 }, (_, index) => `n${index + 1}`);
    const listNodes = async ({ pageToken, filter }: { pageToken: string; filter: string }) => {
      requests.push({ pageToken, filter });
      const from = Number(pageToken);
      const next = from + 2 < names.length ? String(from + 2) : "";
      return { nodes: names.slice(from, from + 2).map((name) => node(name)), nextPageToken: next };
    };
    const fake = await start({ nodes: { listNodes } });
    const { out } = await done(muster(fake.stateDir, "get nodes --json --filter compute"));
    expect(JSON.parse(out).items.map(({ name }: { name: string }) => name)).toEqual(names);
    expect(requests).toEqual([
      { pageToken: "", filter: "compute" },
      { pageToken: "2", filter: "compute" },
      { pageToken: "4", filter: "compute" },
    ]);
    expect((await done(muster(fake.stateDir, "get node n1 --filter x"))).code).toBe(2);
  });

  it("lists and describes stored manifests by kind", async () => {
    const fake = await start();
    expect((await done(muster(fake.stateDir, "get roles"))).out).toBe("NAME     REVISION\ncompute  7");
    expect((await done(muster(fake.stateDir, "get task worker"))).out).toContain("worker");
    expect((await done(muster(fake.stateDir, "describe role compute"))).out).toContain("image: debian-12");
    expect((await done(muster(fake.stateDir, "get scheme raid"))).code).toBe(2);
  });

  it("shows what is held, skipped and why in a description", async () => {
    const hold = steps().map((one) =>
      one.task === "seed" && one.node === "n1" ? { ...one, hold: true } : one,
    );
    const fake = await start({ deployments: { getDeployment: async () => ({ deployment, steps: hold }) } });
    const { out } = await done(muster(fake.stateDir, "describe deployment demo"));
    expect(out).toContain("held; muster go demo-1 n1/seed");
    expect((await done(muster(fake.stateDir, "get deployment demo"))).out).toContain(
      "6 of 21 steps done, 1 failed, 4 blocked, 1 held",
    );
  });
});

describe("events", () => {
  it("are listed oldest first, with a filter, as JSON", async () => {
    const fake = await start();
    const { out } = await done(muster(fake.stateDir, "events --json"));
    expect(JSON.parse(out).items.map(({ reason }: { reason: string }) => reason)).toEqual([
      "DEPLOYMENT_STARTED",
      "NODE_AWAITS_APPROVAL",
      "STEP_FAILED",
    ]);
    const filters: string[] = [];
    const listEvents = async ({ filter }: { filter: string }) => {
      filters.push(filter);
      return {};
    };
    const other = await start({ watch: { listEvents } });
    expect((await done(muster(other.stateDir, "events --filter n3"))).out).toBe("");
    expect(filters).toEqual(["n3"]);
    expect((await done(muster(other.stateDir, "events -w --json"))).code).toBe(2);
  });
});

describe("logs", () => {
  it("of one attempt are asked for by its number", async () => {
    const fake = await start();
    expect((await done(muster(fake.stateDir, "logs demo/n3/image/1"))).out).toContain(
      "log of demo/n3/image/1",
    );
  });
});

describe("images", () => {
  it("are shown with their kind, their version and what they were", async () => {
    const fake = await start();
    expect((await done(muster(fake.stateDir, "get images"))).out).toMatch(
      /^debian-12 +12\.7 +file system +/m,
    );
    const { out } = await done(muster(fake.stateDir, "describe image debian-12"));
    expect(out).toMatch(/^Version: +12\.7$/m);
    expect(out).toMatch(/^Kind: +file system$/m);
    expect(out).toMatch(/^Formerly: +(f0){32}$/m);
  });
});
