import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { done, folder, muster, start } from "./testing/muster.ts";

describe("the command line", () => {
  it("says in one line that the daemon is away, and exits with 3", async () => {
    const { code, err, out } = await done(muster("/nowhere", "get nodes"));
    expect(code).toBe(3);
    expect(out).toBe("");
    expect(err).toBe(
      "muster: daemon not reachable at /nowhere/muster.sock (no such socket); start it with `muster daemon`, or name its state directory with --state-dir",
    );
  });

  it.each(["frobnicate", "get things", "power up n1", "apply", "get nodes -o xml", "approve"])(
    "refuses `%s` with 2",
    async (args) => {
      const fake = await start();
      const { code, err } = await done(muster(fake.stateDir, args));
      expect(code).toBe(2);
      expect(err).toMatch(/^muster: /);
    },
  );

  it("refuses a verb that it has not, and answers what people ask first", async () => {
    expect((await done(muster("/nowhere", "frobnicate"))).err).toContain("there is no verb frobnicate");
    expect((await done(muster("/nowhere", "frob a b c"))).err).toContain("there is no verb frob");
    expect((await done(muster("/nowhere", "help"))).out).toContain("Exit codes: 0 done");
    expect((await done(muster("/nowhere", "help deploy"))).out).toContain("--plan-hash");
    const { code, out } = await done(muster("/nowhere", "--version"));
    expect([code, out]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+$/)]);
  });

  it("says once what a request lacks", async () => {
    const refuse = async () => {
      throw new RpcError(codes.INVALID_ARGUMENT, "cluster is missing", {
        fields: [{ field: "cluster", description: "is missing" }],
      });
    };
    const fake = await start({ deployments: { planCluster: refuse } });
    expect((await done(muster(fake.stateDir, "plan x"))).err).toBe("muster: cluster is missing");
  });

  it("explains exit codes in the help", async () => {
    const { code, out } = await done(muster("/nowhere", "--help"));
    expect(code).toBe(0);
    expect(out).toContain("Exit codes: 0 done, 1 failed, 2 bad input or refused, 3 daemon not reachable");
  });

  it("opens the screens in a terminal, and prints the overview off one", async () => {
    const fake = await start();
    const screens = muster(fake.stateDir, "", { interactive: true });
    expect(await screens.code).toBe(0);
    expect(screens.tui).toHaveBeenCalled();
    const { out } = await done(muster(fake.stateDir, ""));
    expect(out).toMatchSnapshot();
  });
});

describe("apply", () => {
  it("sends the YAML files of a directory and says what became of each document", async () => {
    const fake = await start();
    const path = await folder({ "b.yaml": "kind: Role\n", "a.yml": "kind: Cluster\n", "notes.txt": "no" });
    const { code, out } = await done(muster(fake.stateDir, `apply -f ${path}`));
    expect([code, out]).toEqual([0, "cluster/demo created"]);
    const files = [
      { path: join(path, "a.yml"), content: "kind: Cluster\n" },
      { path: join(path, "b.yaml"), content: "kind: Role\n" },
    ];
    expect(fake.calls).toMatchObject([{ method: "apply", request: { files, validateOnly: false } }]);
  });

  it("prints one line per fault as FILE:LINE:COL: message and exits with 2", async () => {
    const refuse = async () => {
      throw new RpcError(codes.INVALID_ARGUMENT, "the manifests have faults", {
        fields: [
          { field: "x.yaml:3:1: nodez", description: "unknown field; did you mean nodes?" },
          { field: "x.yaml:7:9: parteds[0].partitions[1].size", description: "is a number with B, KiB, MiB" },
        ],
      });
    };
    const fake = await start({ clusters: { apply: refuse } });
    const path = await folder({ "x.yaml": "kind: Cluster\n" });
    const { code, out, err } = await done(muster(fake.stateDir, `apply -f ${path}/x.yaml`));
    expect([code, out]).toEqual([2, ""]);
    expect(err.split("\n")).toEqual([
      "x.yaml:3:1: nodez: unknown field; did you mean nodes?",
      "x.yaml:7:9: parteds[0].partitions[1].size: is a number with B, KiB, MiB",
      "muster: 2 faults, nothing was stored",
    ]);
  });

  it("refuses a path that is not there, and a directory without manifests", async () => {
    const fake = await start();
    const missing = await done(muster(fake.stateDir, "apply -f /nowhere/x.yaml"));
    expect([missing.code, missing.err]).toEqual([2, expect.stringContaining("cannot read /nowhere/x.yaml")]);
    const empty = await done(muster(fake.stateDir, `apply -f ${await folder({})}`));
    expect([empty.code, empty.err]).toEqual([2, expect.stringContaining("there is no *.yaml file")]);
    expect(fake.calls).toEqual([]);
  });
});

describe("what is no manifest", () => {
  it("refuses files without a manifest, files that are no text, and more than one call can carry", async () => {
    const fake = await start({ clusters: { apply: async () => ({ documents: [] }) } });
    const path = await folder({ "empty.yaml": "---\n", "big.yaml": `# ${"x".repeat(8 << 20)}` });
    await writeFile(join(path, "program.yaml"), Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0xff]));
    const refusal = async (name: string) => {
      const { code, err } = await done(muster(fake.stateDir, `apply -f ${path}/${name}.yaml`));
      return [code, err];
    };
    expect(await refusal("empty")).toEqual([2, expect.stringMatching(/no manifest in .*empty\.yaml/)]);
    expect(await refusal("program")).toEqual([2, expect.stringContaining("is not a text file")]);
    expect(await refusal("big")).toEqual([2, expect.stringMatching(/has 8 MiB.* at most 7 MiB/)]);
  });
});

describe("get and describe", () => {
  it("lists as a table", async () => {
    const fake = await start();
    const { code, out } = await done(muster(fake.stateDir, "get nodes"));
    expect(code).toBe(0);
    expect(out).toMatchInlineSnapshot(`
      "NAME  STATE              CLUSTER  ROLE        ADDRESS     POWER  SEEN    REASON
      n1    provisioning       demo     controller  10.77.0.11  on     online
      n2    provisioning       demo     compute     10.77.0.12  on     online
      n3    error              demo     compute     10.77.0.13  on     online  step image failed
      n4    awaiting approval                       10.77.0.14  on     1s ago  code K7-QX2"
    `);
  });

  it("lists as protobuf JSON under items, one or all, singular or plural", async () => {
    const fake = await start();
    const all = await done(muster(fake.stateDir, "get nodes -o json"));
    expect(JSON.parse(all.out).items).toHaveLength(4);
    const one = await done(muster(fake.stateDir, "get node n4 -o json"));
    expect(JSON.parse(one.out).items).toMatchObject([{ name: "n4", state: "STATE_AWAITING_APPROVAL" }]);
    const run = JSON.parse((await done(muster(fake.stateDir, "get deployment demo -o json"))).out);
    expect(run.items).toMatchObject([{ name: "demo-1" }]);
    expect(run.steps).toHaveLength(21);
  });

  it.each(["node n3", "cluster demo", "image debian-12", "deployment demo-1"])(
    "describes %s",
    async (what) => {
      const fake = await start();
      const { code, out } = await done(muster(fake.stateDir, `describe ${what}`));
      expect(code).toBe(0);
      expect(out).toContain(what.split(" ")[1]);
    },
  );

  it("says that there is no such thing, and exits with 2", async () => {
    const fake = await start();
    const { code, err } = await done(muster(fake.stateDir, "describe node n9"));
    expect([code, err]).toEqual([2, "muster: there is no node n9"]);
  });
});

describe("nodes", () => {
  it("approves one by its code, or all that wait", async () => {
    const fake = await start();
    expect((await done(muster(fake.stateDir, "approve n4 --code K7-QX2"))).out).toBe("node/n4 approved");
    expect((await done(muster(fake.stateDir, "approve --all"))).out).toBe("node/n4 approved");
    expect(fake.calls).toMatchObject([
      { request: { name: "n4", code: "K7-QX2" } },
      { request: { name: "n4", code: "" } },
    ]);
  });

  it("switches a node and says what it is now", async () => {
    const fake = await start();
    expect((await done(muster(fake.stateDir, "power off n1"))).out).toBe("node/n1 power off");
    expect((await done(muster(fake.stateDir, "power status n1"))).out).toBe("node/n1 power on");
  });
});

describe("logs and events", () => {
  it("prints a step's log as it is into a pipe, and made safe in a terminal", async () => {
    const fake = await start();
    const piped = await done(muster(fake.stateDir, "logs demo-1/n1/image"));
    expect(piped.out).toContain("\u001b[31mred");
    const shown = await done(muster(fake.stateDir, "logs demo-1/n1/image", { terminal: true }));
    expect(shown.out).toBe("log of demo-1/n1/image\nsecond line red");
  });

  it("says that a log is empty, beside the output", async () => {
    const fake = await start({ watch: { tailLog: async function* () {} } });
    const { code, out, err } = await done(muster(fake.stateDir, "logs demo/n1/seed"));
    expect([code, out, err]).toEqual([0, "", "the log of demo/n1/seed is empty"]);
  });

  it("prints the logs of all steps that have begun, each under its name", async () => {
    const fake = await start();
    const { out } = await done(muster(fake.stateDir, "logs demo"));
    expect(out).toContain("== n3/image failed, attempt 1\nn3/image | log of demo-1/n3/image");
    expect(out).not.toContain("n1/seed");
  });

  it("prints what has happened, and with -w what happens", async () => {
    const fake = await start();
    const { code, out } = await done(muster(fake.stateDir, "events"));
    expect([code, out.split("\n")]).toEqual([
      0,
      expect.arrayContaining([expect.stringContaining("STEP_FAILED")]),
    ]);
    const interrupt = new AbortController();
    const watching = muster(fake.stateDir, "events -w", { signal: interrupt.signal });
    await vi.waitFor(() => expect(watching.out).toHaveLength(3));
    const [event] = fake.world.events;
    if (event) fake.put({ case: "event", value: { ...event, reason: "NEWS", revision: 99n } });
    await vi.waitFor(() => expect(watching.out.at(-1)).toContain("NEWS"));
    interrupt.abort();
    expect(await watching.code).toBe(130);
  });
});
