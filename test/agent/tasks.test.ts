// Steps of config tasks with the programs of this very machine: dpkg, apt and systemd. Nothing is changed by them.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { StepDone } from "../../node-agent/step.ts";
import { testContext } from "../../node-agent/step-fixture.ts";
import { packages } from "../../node-agent/steps/package.ts";
import { service } from "../../node-agent/steps/service.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { PackageActionSchema, ServiceActionSchema } from "../../proto/gen/muster/v1/task_pb.ts";

async function check(wanted: MessageInitShape<typeof PackageActionSchema>): Promise<StepDone> {
  const done = await packages(create(PackageActionSchema, wanted), testContext({ check: true }));
  if (typeof done === "string") throw new Error("package should say more");
  return done;
}

const hasApt = existsSync("/usr/bin/apt-get");

/** Some package that a system can do without. */
function optionalPackage(): string {
  const fields = ["Package", "Priority", "Essential", "Protected"].map((field) => `$\{${field}}`).join(" ");
  const list = execFileSync("dpkg-query", ["--show", `--showformat=${fields}\n`], { encoding: "utf8" });
  return /^(\S+) optional no (no)?$/m.exec(list)?.[1] ?? "";
}

describe.runIf(hasApt)("package", () => {
  it("knows what is installed", async () => {
    const done = await check({ install: ["dpkg", "libc6", "bash=*"], remove: ["no-such-package"] });
    expect(done.outcome).toBe(TaskOutcome.OK);
  });

  it("says what apt would do", async () => {
    const optional = optionalPackage();
    expect(await check({ install: ["no-such-package"] })).toMatchObject({
      outcome: TaskOutcome.CHANGED,
      changes: [{ what: "package no-such-package", action: "install" }],
    });
    await expect(check({ remove: ["dpkg"] })).rejects.toThrow("failed with exit code 100");
    const removed = await check({ remove: [optional], purge: true });
    expect(removed.changes).toContainEqual({
      what: `package ${optional}`,
      action: "remove",
      diff: expect.stringMatching(/^\d.*\n$/),
    });
  });
});

describe.runIf(existsSync("/usr/bin/systemctl"))("service", () => {
  const action = (name: string) => create(ServiceActionSchema, { name, state: "started" });

  it.runIf(existsSync("/run/systemd/system"))("knows what runs", async () => {
    expect(await service(action("systemd-journald"), testContext())).toMatchObject({
      outcome: TaskOutcome.OK,
    });
    await expect(service(action("no-such-unit"), testContext())).rejects.toThrow(
      "there is no unit no-such-unit",
    );
  });

  it.runIf(!existsSync("/run/systemd/system"))("says that systemd does not run", async () => {
    await expect(service(action("cron"), testContext())).rejects.toThrow("systemd does not run on this node");
  });
});
