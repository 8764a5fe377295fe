// Ansible's events as a program plays them, and real playbooks where this machine has Ansible.
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { AnsibleActionSchema } from "../../proto/gen/muster/v1/task_pb.ts";
import { extraVariables } from "../ansible-vars.ts";
import type { StepContext, StepDone } from "../step.ts";
import { ansible } from "./ansible.ts";
import { filesContext } from "./files-fixture.ts";
import { scratchDirectory } from "./scratch-fixture.ts";

const scratch = scratchDirectory("ansible-test-");
let dir: string;
beforeEach(() => {
  dir = scratch();
});

const run = async (context: StepContext, fields: object = {}) =>
  (await ansible(create(AnsibleActionSchema, { source: "play", ...fields }), context)) as StepDone;
const beside = (site: string) => ({ play: { "site.yml": site } });

it("no text among the variables is a template", () => {
  const values = { settings: { a: "{{ lookup('pipe', 'id') }}", n: 1, none: null, list: ["x", true] } };
  const text = extraVariables(values, { key: 'quo"te\n' });
  expect(text).toContain(`"a": !unsafe "{{ lookup`);
  expect(parse(text, { logLevel: "silent" })).toEqual({ ...values, secrets: { key: 'quo"te\n' } });
});

describe("an ansible that is played", () => {
  const result = (status: string, name: string, message = "", diff = "") =>
    JSON.stringify({
      event: "result",
      status,
      name,
      message,
      diff,
      action: "ansible.builtin.copy",
      path: "PLAY/site.yml:7",
    });
  const play = (code: number, events: string[], stderr = "") => {
    const program = `#!/bin/sh
echo "$@" > '${dir}/arguments'
cp ../variables.yml ../inventory.yml '${dir}'
sed "s#PLAY#$PWD#" '${dir}/played' >> "$MUSTER_EVENTS"
echo '${stderr}' >&2
exit ${code}
`;
    writeFileSync(join(dir, "played"), events.map((line) => `${line}\n`).join(""));
    writeFileSync(join(dir, "ansible-playbook"), program);
    chmodSync(join(dir, "ansible-playbook"), 0o755);
    process.env.PATH = `${dir}:${process.env.PATH}`;
  };
  const values = { node: { name: "n1", role: "object-storage" } };

  it("says what has changed, how far it is, and leaves nothing behind", async () => {
    play(0, [
      JSON.stringify({ event: "total", tasks: 3 }),
      result("ok", "Gathering Facts"),
      result("changed", "motd", "", "-old\n+new\n"),
      result("skipped", "never"),
    ]);
    const context = filesContext(beside("- hosts: all"), { values, secrets: { key: "s3cret" } });
    expect(await run(context, { tags: ["a", "b"] })).toEqual({
      result: "3 tasks, 1 changed something",
      outcome: TaskOutcome.CHANGED,
      facts: { tasks: 3, changed: 1 },
      changes: [{ what: "motd", action: "copy", diff: "-old\n+new\n" }],
    });
    expect(context.reports.at(-1)).toMatchObject({ currentItems: 3, totalItems: 3, changedItems: 1 });
    expect(readFileSync(join(dir, "arguments"), "utf8")).toMatch(/--diff --tags a,b site.yml\n$/);
    expect(JSON.parse(readFileSync(join(dir, "inventory.yml"), "utf8"))).toEqual({
      all: {
        hosts: { n1: { ansible_connection: "local" } },
        children: { object_storage: { hosts: { n1: {} } } },
      },
    });
    expect(parse(readFileSync(join(dir, "variables.yml"), "utf8"), { logLevel: "silent" })).toEqual({
      ...values,
      secrets: { key: "s3cret" },
    });
    expect(readdirSync(join(dir, "tmp"))).toEqual([]);
  });

  it("names the task that failed, with its place", async () => {
    play(2, [
      result("ignored", "first", "no matter"),
      result("failed", "web : start", "Could not\nfind nginx"),
    ]);
    await expect(run(filesContext(beside("- hosts: all")))).rejects.toMatchObject({
      message: "ansible-playbook: task `web : start` (site.yml:7) failed: Could not find nginx",
      code: 2,
    });
  });

  it("takes a failure that was rescued for none", async () => {
    play(0, [result("failed", "try"), result("ok", "rescue")]);
    expect(await run(filesContext(beside("- hosts: all")))).toMatchObject({ outcome: TaskOutcome.OK });
  });

  it("says why a playbook cannot be read", async () => {
    play(
      4,
      [],
      "[WARNING]: x\nERROR! conflicting action statements: copy, file\n\nThe error appears elsewhere",
    );
    await expect(run(filesContext(beside("x")))).rejects.toThrow(
      "ansible-playbook: conflicting action statements: copy, file",
    );
  });

  it("that finds nothing for the node has not succeeded", async () => {
    play(0, [JSON.stringify({ event: "total", tasks: 3 })]);
    await expect(run(filesContext(beside("x"), { values }))).rejects.toThrow(
      "no task of play/site.yml is for this node: its plays must be for `all`, `localhost` or the role, `object_storage`",
    );
  });

  it("is said to be missing where it is", async () => {
    process.env.PATH = dir;
    await expect(run(filesContext(beside("x")))).rejects.toThrow(
      "the node has no ansible: add ansible-core to the packages of the image's recipe",
    );
  });
});

const hasAnsible = (() => {
  try {
    execFileSync("ansible-playbook", ["--version"]);
    return true;
  } catch {
    return false;
  }
})();

describe.runIf(hasAnsible)("the real ansible", { timeout: 240_000 }, () => {
  const values = () => ({
    settings: { color: "green", trap: "{{ 1 + 1 }}" },
    node: { name: "n1", role: "web" },
    parameters: { target: dir },
  });
  const sources = () => ({
    play: {
      "site.yml": `- hosts: web
  gather_facts: false
  roles: [motd]
  tasks:
    - {name: never, command: "false", when: settings.color == "red"}
    - {name: look, command: "true", changed_when: false, tags: [quick]}
`,
      roles: null,
      "roles/motd": null,
      "roles/motd/tasks": null,
      "roles/motd/tasks/main.yml": `- name: write
  copy: {content: "{{ settings.color }} {{ settings.trap }} {{ secrets.key }}\\n", dest: "{{ parameters.target }}/motd"}
  notify: tell
`,
      "roles/motd/handlers": null,
      "roles/motd/handlers/main.yml": '- {name: tell, command: "touch {{ parameters.target }}/told"}\n',
    },
  });
  const given = (more: object = {}) => ({ values: values(), secrets: { key: "s3cret" }, ...more });

  it("says what would change, changes it, and then has nothing to do", async () => {
    const motd = join(dir, "motd");
    writeFileSync(motd, "old\n");
    const check = await run(filesContext(sources(), given({ check: true })));
    expect(check).toMatchObject({
      outcome: TaskOutcome.CHANGED,
      changes: [{ what: "motd : write", action: "copy" }],
    });
    expect(check.changes?.[0]?.diff).toContain(
      `--- before: ${motd}\n+++ after: ${motd}\n@@ -1 +1 @@\n-old\n+green {{ 1 + 1 }} s3cret\n`,
    );
    expect(readFileSync(motd, "utf8")).toBe("old\n");

    const context = filesContext(sources(), given());
    const done = await run(context);
    expect(done).toMatchObject({ result: "4 tasks, 2 changed something", outcome: TaskOutcome.CHANGED });
    expect(readFileSync(motd, "utf8")).toBe("green {{ 1 + 1 }} s3cret\n");
    expect(existsSync(join(dir, "told"))).toBe(true);
    expect(context.reports).toContainEqual({
      currentItems: 1,
      totalItems: 3,
      changedItems: 1,
      failedItems: 0,
    });
    expect(context.lines).toContain(
      "TASK [motd : write] ************************************************************",
    );

    expect(await run(filesContext(sources(), given()))).toMatchObject({
      outcome: TaskOutcome.OK,
      result: "3 tasks, 0 changed something",
      changes: [],
    });
  });

  it("names what failed with file and line, and does only what has the tags", async () => {
    const site =
      "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: break\n      command: cat /nowhere\n";
    await expect(run(filesContext(beside(site)))).rejects.toThrow(
      /^ansible-playbook: task `break` \(site.yml:4\) failed: non-zero return code; cat: \/nowhere: No such file/,
    );
    const quick = await run(filesContext(sources(), given()), { tags: ["quick"] });
    expect(quick.result).toBe("1 tasks, 0 changed something");
    await expect(run(filesContext(beside("- hosts: db\n")))).rejects.toThrow(/no task of play\/site.yml/);
    await expect(run(filesContext(beside("- hosts: all\n  tasks: [{nothing: {}}]\n")))).rejects.toThrow(
      /^ansible-playbook: site.yml:2:11: couldn't resolve module\/action 'nothing'/,
    );
  });
});
