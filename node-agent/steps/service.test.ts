// The service step with a stand-in for systemctl, which keeps a unit's state in a file and writes down what it is asked.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { ServiceActionSchema } from "../../proto/gen/muster/v1/task_pb.ts";
import type { StepDone } from "../step.ts";
import { testContext } from "../step-fixture.ts";
import { service } from "./service.ts";

const path = process.env.PATH;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "service-"));
  process.env.PATH = `${dir}:${path}`;
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(dir, { recursive: true });
});

/** `afterStart`: the state that a start leads to. */
function unit(load: string, active: string, file: string, afterStart = "active"): void {
  const state = join(dir, "state");
  const show = (now: string) => `LoadState=${load}\nActiveState=${now}\nUnitFileState=${file}\n`;
  writeFileSync(state, show(active));
  writeFileSync(`${state}.started`, show(afterStart));
  const script = `#!/bin/sh
case "$1" in
  show) cat ${state} ;;
  start|restart) cp ${state}.started ${state}; echo "$*" >> ${dir}/asked ;;
  *) echo "$*" >> ${dir}/asked ;;
esac
`;
  writeFileSync(join(dir, "systemctl"), script);
  chmodSync(join(dir, "systemctl"), 0o755);
}

function asked(): string[] {
  try {
    return readFileSync(join(dir, "asked"), "utf8").trim().split("\n");
  } catch {
    return [];
  }
}

type Wanted = { state?: string; enabled?: boolean };

async function perform(wanted: Wanted, check = false): Promise<StepDone> {
  const action = create(ServiceActionSchema, { name: "{{ parameters.unit }}", ...wanted });
  const done = await service(action, testContext({ check, values: { parameters: { unit: "web" } } }));
  if (typeof done === "string") throw new Error("service should say more");
  return done;
}

describe("a service", () => {
  const cases: [string, [string, string, string], Wanted, string[]][] = [
    ["runs already", ["loaded", "active", "enabled"], { state: "started", enabled: true }, []],
    ["is to run", ["loaded", "inactive", "disabled"], { state: "started" }, ["start"]],
    ["has failed and is to run", ["loaded", "failed", "enabled"], { state: "started" }, ["start"]],
    [
      "is to run and start at boot",
      ["loaded", "inactive", "disabled"],
      { state: "started", enabled: true },
      ["enable", "start"],
    ],
    [
      "is to be off",
      ["loaded", "active", "enabled"],
      { state: "stopped", enabled: false },
      ["disable", "stop"],
    ],
    ["is off already", ["loaded", "failed", "disabled"], { state: "stopped", enabled: false }, []],
    ["is to be started anew", ["loaded", "active", "enabled"], { state: "restarted" }, ["restart"]],
    ["is to read its files anew", ["loaded", "active", "enabled"], { state: "reloaded" }, ["reload"]],
    [
      "cannot read its files anew, as it is off",
      ["loaded", "inactive", "enabled"],
      { state: "reloaded" },
      ["start"],
    ],
    ["has nothing to enable", ["loaded", "active", "static"], { enabled: true }, []],
    [
      "is masked and is to be off",
      ["masked", "inactive", "masked"],
      { state: "stopped", enabled: false },
      [],
    ],
  ];

  it.each(cases)("%s", async (_, [load, active, file], wanted, verbs) => {
    unit(load, active, file);
    const foreseen = await perform(wanted, true);
    expect(asked()).toEqual([]);
    expect(foreseen.changes?.map(({ action }) => action) ?? []).toEqual(verbs);
    const done = await perform(wanted);
    expect(asked()).toEqual(verbs.map((verb) => `${verb} -- web`));
    expect(done.outcome).toBe(verbs.length ? TaskOutcome.CHANGED : TaskOutcome.OK);
    expect(foreseen.outcome).toBe(done.outcome);
  });

  it("whose files are new is read anew before it is started anew", async () => {
    unit("loaded", "active", "enabled\nNeedDaemonReload=yes");
    await perform({ state: "restarted" }, true);
    expect(asked()).toEqual([]);
    await perform({ state: "restarted" });
    expect(asked()).toEqual(["daemon-reload", "restart -- web"]);
  });

  it("that is not there, is masked, or ends at once is a fault", async () => {
    unit("not-found", "inactive", "");
    await expect(perform({ state: "started" })).rejects.toThrow(
      "there is no unit web on this node; install its package",
    );
    expect((await perform({ state: "started", enabled: true }, true)).result).toBe(
      "web: would enable, start",
    );
    unit("masked", "inactive", "masked");
    await expect(perform({ state: "started" })).rejects.toThrow("systemctl unmask web");
    unit("loaded", "inactive", "enabled", "failed");
    await expect(perform({ state: "started" })).rejects.toThrow("web was started and has failed");
  });

  it("needs systemd", async () => {
    writeFileSync(
      join(dir, "systemctl"),
      "#!/bin/sh\necho 'System has not been booted with systemd as init system (PID 1).' >&2\nexit 1\n",
      { mode: 0o755 },
    );
    await expect(perform({ state: "started" })).rejects.toThrow("systemd does not run on this node");
  });
});
